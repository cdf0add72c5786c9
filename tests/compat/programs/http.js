// Answers with method and body. usage: http.js PORT
require("http").createServer((request, response) => {
	let body = "";
	request.on("data", (part) => body += part);
	request.on("end", () => response.writeHead(200, { "Content-Type": "text/plain" }).end(`${request.method} ${body}\n`));
}).listen(+process.argv[2], "127.0.0.1");
process.on("SIGTERM", () => process.exit(3));
