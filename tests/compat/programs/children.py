"""What programs that look for processes say of this one's children: children.py procps|psmisc|lsof"""
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile

folder = tempfile.mkdtemp()
program, file = f"{folder}/napper", f"{folder}/file"
shutil.copy("/bin/sleep", program)
with open(file, "w") as given:
    sleeps = subprocess.Popen([program, "4321"], stdin=given)
ends = subprocess.Popen(["/bin/true"])
os.waitid(os.P_PID, ends.pid, os.WEXITED | os.WNOWAIT)


def say(*words):
    """Prints what the program says, without what differs from run to run."""
    asked = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    out = asked.communicate()[0].replace(folder, "FOLDER")
    for pid, name in ((sleeps.pid, "SLEEPS"), (ends.pid, "ENDS"), (os.getpid(), "SELF"), (asked.pid, "ASKED")):
        out = re.sub(rf"(?<![\da-oq-z]){pid}(?!\d)", name, out)  # lsof has a p before it
    print(os.path.basename(words[0]), asked.returncode, re.sub("(?m)^ +", "", re.sub(" +", " ", out)), flush=True)


def procps():
    columns = "pid=,ppid=,s=,comm=,args="
    say("/bin/ps", "--ppid", f"{os.getpid()}", "-o", columns)
    say("/bin/ps", "-L", "-p", f"{sleeps.pid}", "-o", "lwp=,pid=,user=,args=")
    say("/usr/bin/pgrep", "-a", "-P", f"{os.getpid()}", "napper")
    say("/usr/bin/pgrep", "-f", f"{program} 4321")
    say("/usr/bin/pwdx", f"{sleeps.pid}")
    say("/usr/bin/pkill", "-STOP", "-x", "napper")
    os.waitpid(sleeps.pid, os.WUNTRACED)
    say("/bin/ps", "-p", f"{sleeps.pid}", "-o", columns)
    say("/usr/bin/pkill", "-P", f"{os.getpid()}", "-KILL", "napper")


def psmisc():
    say("/usr/bin/pstree", "-A", "-a", f"{os.getpid()}")
    say("/usr/bin/fuser", file)
    say("/usr/bin/fuser", program)
    say("/usr/bin/killall", "napper")


def lsof():
    say("/usr/bin/lsof", "-O", "-w", "-a", "-p", f"{sleeps.pid}", "-d", "0,cwd,txt", "-F", "pRcfan")
    say("/usr/bin/lsof", "-O", "-w", "-t", file)
    sleeps.kill()


while not open(f"/proc/{sleeps.pid}/stat").read().startswith(f"{sleeps.pid} (napper) S"):
    pass
{"procps": procps, "psmisc": psmisc, "lsof": lsof}[sys.argv[1]]()
print(signal.Signals(-sleeps.wait()).name, ends.wait())
shutil.rmtree(folder)
