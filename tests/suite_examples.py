"""Examples: every folder under examples/ prints what its README says, by the command that stands there; and the SDK, installed,
builds what its README says."""
import os
import re
import shlex

import harness
import multi_tier
from harness import INSECURE, INTRAVISOR, ROOT, Skip, Test, expect, run, scratch

FOLDER = os.path.join(ROOT, "examples")
IN_VM_TOO = ("hello", "two-pure", "cp_file", "nested")  # also where there are keys, emulated and slow
ISOLATED = ("cp_file", "cp_stream", "hello", "python-service", "served", "sqlite-compartment")  # also with every libOS apart


def commands(readme):
    """(arguments, expected lines) of every `$ intravisor run -y ...` in a README."""
    for block in re.findall(r"^```\n(.*?)^```", readme, flags=re.M | re.S):
        for part in re.split(r"^\$ ", block, flags=re.M)[1:]:
            command, _, output = part.partition("\n")
            if command.startswith("intravisor run -y "):
                yield shlex.split(command)[1:], output.splitlines()


def apart(path):
    """The pod with every libOS apart from its program, in a file of its own."""
    folder, name = os.path.split(os.path.join(ROOT, path))
    where = os.path.join(scratch("-".join(["example", os.path.basename(folder), name])), name)
    text = harness.read(os.path.join(folder, name)).replace("../../build/", f"{ROOT}/build/").replace('".:', f'"{folder}:')
    with open(where, "w") as f:
        f.write(harness.isolated(text))
    return where


def example(name, isolated=False):
    def test():
        readme = harness.read(os.path.join(FOLDER, name, "README.md"))
        said = list(commands(readme))
        expect(said, f"examples/{name}/README.md has no `$ intravisor run -y`")
        for arguments, wanted in said:
            pod = apart(arguments[2]) if isolated else arguments[2]
            ran = run([INTRAVISOR, "run", *INSECURE, "-y", pod, *arguments[3:]], cwd=ROOT)
            got = ran.text().splitlines()
            if "either order" in readme:
                got, wanted = sorted(got), sorted(wanted)
            status = 1 if "ends with status 1" in readme else 0
            expect(ran.status == status and got == wanted, f"README says {wanted}", ran)
    return test


def service():
    """examples/multi-tier, driven from outside: what its README says, and every answer to wrk right."""
    missing = [p for p in ("/usr/sbin/nginx", "/usr/bin/wrk", "/usr/bin/redis-server", f"{multi_tier.PROGRAMS}/multi-tier-store")
               if not os.path.exists(p)]
    if missing:
        raise Skip(f"needs {', '.join(missing)}")
    readme = harness.read(f"{multi_tier.EXAMPLE}/README.md")
    with multi_tier.cvms() as port:
        for _ in range(2):
            expect(multi_tier.get(port, 17) in readme, f"README does not say {multi_tier.get(port, 17)}")
        for item in range(1000, 1100):
            wanted = f'{{"item": {item}, "text": "the text of item {item}", "from": "%s"}}\n'
            for tier in ("store", "redis"):
                expect(multi_tier.get(port, item) == wanted % tier, f"item {item} is not what the {tier} should say")
        multi_tier.load(port, 2, 64)


def installed():
    """make install, pkg-config, and both libraries with gcc, clang and musl."""
    where = scratch("sdk-install")
    made = run(["make", "-C", ROOT, "install", f"PREFIX={where}", f"DESTDIR={where}/image"])
    expect(made.status == 0, "make install failed", made)
    os.rename(f"{where}/image{where}/lib", f"{where}/lib")
    os.rename(f"{where}/image{where}/include", f"{where}/include")
    env = dict(harness.ENV, PKG_CONFIG_PATH=f"{where}/lib/pkgconfig")

    def flags(package):
        return run(["pkg-config", "--cflags", "--libs", package], env=env).text().split()
    for compiler in ("gcc", "clang"):
        built = run([compiler, "-o", f"{where}/hello", f"{FOLDER}/hello/libos.c", *flags("cvm"), "-pthread"])
        expect(built.status == 0, "hello does not build", built)
        ran = run([f"{where}/hello"])
        expect(ran.text() == "hello from plain Linux\n", "outside a cVM", ran)
        ran = harness.cvm([f"{where}/hello"], ["-v", f"{where}:{where}:ro"])
        expect(ran.text() == "hello from a cVM with a libOS\n", "in a cVM", ran)
        built = run([compiler, "-o", f"{where}/bare", f"{FOLDER}/hello/bare.c", *flags("cvm-bare")])
        expect(built.status == 0, "the bare hello does not build", built)
        ran = run([INTRAVISOR, "run", *INSECURE, "--runtime", "bare", "--", f"{where}/bare", compiler])
        expect(ran.text() == f"hello from a bare cVM, {compiler}\n", "bare", ran)
    built = run(["musl-gcc", "-o", f"{where}/hello.musl", f"{FOLDER}/hello/libos.c", f"-I{where}/include", f"{where}/lib/libcvm.a"])
    expect(built.status == 0, "hello does not build with musl", built)
    ran = harness.cvm([f"{where}/hello.musl"], ["-v", f"{where}:{where}:ro"])
    expect(ran.text() == "hello from a cVM with a libOS\n", "musl", ran)


def tests():
    names = sorted(n for n in os.listdir(FOLDER) if n != "multi-tier" and os.path.exists(os.path.join(FOLDER, n, "README.md")))
    return [Test(f"examples/{n}", example(n), vm="too" if n in IN_VM_TOO else None) for n in names] + [
        Test(f"examples/{n}.isolated", example(n, isolated=True), vm="too" if n in IN_VM_TOO else None) for n in ISOLATED] + [
        Test("examples/multi-tier", service), Test("examples/installed_sdk", installed)]
