/*
 * The first process of the test machine: a virtual machine whose emulated CPU has protection keys, for hosts whose
 * CPU has none. It loads the modules of the shared root (9p), enters the host's own root directory and runs the one
 * script named on the kernel command line as cvm.script=PATH; its status goes to PATH.status.
 * Called by the kernel; trusts run-in-vm, which wrote the script.
 */
#include <fcntl.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *const k_modules[] = { "virtio", "virtio_ring", "virtio_pci_modern_dev", "virtio_pci_legacy_dev",
					 "virtio_pci", "netfs", "9pnet", "9pnet_virtio", "9p" };

static void power_off(const char *why)
{
	if (why)
		perror(why);
	sync();
	reboot(RB_POWER_OFF);
	_exit(1);
}

static void load_modules(void)
{
	for (size_t i = 0; i < sizeof k_modules / sizeof k_modules[0]; i++) {
		char path[64];
		snprintf(path, sizeof path, "/modules/%s.ko.xz", k_modules[i]);
		int fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			continue; /* built into this kernel */
		if (syscall(SYS_finit_module, fd, "", 4 /* MODULE_INIT_COMPRESSED_FILE */))
			perror(path);
		close(fd);
	}
}

static void bring_up_loopback(void)
{
	struct ifreq ifr = { .ifr_name = "lo" };
	int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (s < 0 || ioctl(s, SIOCGIFFLAGS, &ifr))
		return;
	ifr.ifr_flags |= IFF_UP;
	ioctl(s, SIOCSIFFLAGS, &ifr);
	close(s);
}

static void script_path(char *path, size_t size)
{
	char line[4096] = "";
	int fd = open("/proc/cmdline", O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read(fd, line, sizeof line - 1) < 0)
		power_off("/proc/cmdline");
	close(fd);
	char *at = strstr(line, "cvm.script=");
	if (!at)
		power_off("cvm.script=");
	at += strlen("cvm.script=");
	at[strcspn(at, " \n")] = 0;
	snprintf(path, size, "%s", at);
}

int main(void)
{
	mkdir("/proc", 0755);
	mount("proc", "/proc", "proc", 0, "");
	load_modules();
	if (mount("host", "/root", "9p", 0, "trans=virtio,version=9p2000.L,msize=512000,cache=mmap"))
		power_off("mount host root");
	mount("proc", "/root/proc", "proc", 0, "");
	mount("sysfs", "/root/sys", "sysfs", 0, "");
	mount("devtmpfs", "/root/dev", "devtmpfs", 0, "");
	mkdir("/root/dev/shm", 01777);
	mkdir("/root/dev/pts", 0755);
	mount("tmpfs", "/root/dev/shm", "tmpfs", 0, "");
	mount("devpts", "/root/dev/pts", "devpts", 0, "");
	mount("tmpfs", "/root/tmp", "tmpfs", 0, "mode=1777");
	mount("tmpfs", "/root/run", "tmpfs", 0, "mode=755");
	char script[4096], status_path[4112];
	script_path(script, sizeof script);
	if (chroot("/root") || chdir("/"))
		power_off("chroot");
	bring_up_loopback();
	sethostname("cvmtest", 7);
	struct rlimit files = { 20000, 20000 };
	setrlimit(RLIMIT_NOFILE, &files);
	pid_t child = fork();
	if (child == 0) {
		setsid();
		int fd = open("/dev/console", O_RDWR);
		for (int i = 0; i < 3; i++)
			dup2(fd, i);
		execl("/bin/sh", "sh", script, (char *)0);
		_exit(127);
	}
	int status = 0;
	for (pid_t pid; (pid = wait(&status)) != child;)
		if (pid < 0)
			break;
	snprintf(status_path, sizeof status_path, "%s.status", script);
	int fd = open(status_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd >= 0) {
		dprintf(fd, "%d\n", WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
		close(fd);
	}
	power_off(NULL);
}
