"use strict";
// JIT, a worker, WebAssembly, crypto, zlib, files and HTTP to itself. The order of its lines is the scheduler's.
const crypto = require("crypto"), fs = require("fs"), http = require("http"), zlib = require("zlib");
const { Worker, isMainThread, parentPort } = require("worker_threads");

const fib = n => n < 2 ? n : fib(n - 1) + fib(n - 2);

async function fetches(port) {
  let size = 0;
  for (let i = 0; i < 50; i++)
    size += (await (await fetch(`http://127.0.0.1:${port}/${i}`)).text()).length;
  return size;
}

if (!isMainThread) {
  parentPort.postMessage(fib(20));
} else {
  const numbers = Array.from({ length: 200000 }, (_, i) => i * 7919 % 100003).sort((x, y) => x - y);
  console.log(fib(27), numbers[1000]);
  console.log(crypto.pbkdf2Sync("a", "b", 1000, 32, "sha512").toString("hex"));
  console.log(zlib.gunzipSync(zlib.gzipSync(Buffer.alloc(1 << 20, 7))).length);
  const server = http.createServer((request, response) => response.end("hi " + request.url));
  server.listen(0, "127.0.0.1", async () => {
    console.log("http", await fetches(server.address().port));
    server.close();
  });
  new Worker(__filename).on("message", m => console.log("worker", m));
  fs.promises.readdir("/etc").then(names => console.log(names.includes("passwd")));
  const add = new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0, 1, 7, 1, 96, 2, 127, 127, 1, 127, 3, 2, 1, 0, 7, 7, 1, 3, 97, 100, 100, 0, 0,
    10, 9, 1, 7, 0, 32, 0, 32, 1, 106, 11]);
  WebAssembly.instantiate(add).then(m => console.log(m.instance.exports.add(2, 40)));
}
