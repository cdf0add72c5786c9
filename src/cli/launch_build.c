/*
 * Builds the launch description: see launch_build.h. Called once by run.c. The monitor checks every value again.
 * The configuration is the user's own: opening what it names grants the cVM nothing that the user could not do.
 */
#include "cli/launch_build.h"

#include <cpuid.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "abi/boot.h"
#include "abi/slot.h"
#include "cli/boot_build.h"
#include "cli/cache.h"
#include "cli/code_service.h"
#include "cli/host_path.h"
#include "cli/memfile.h"
#include "cli/message.h"

/* Descriptors of one run: the description, one channel, two files for each image, CP_Files, and for each cVM a channel,
 * its log, its root, its volumes, its output and a channel for exec. */
#define INHERIT_MAX (2 + 2 * LAUNCH_IMAGES_MAX + LAUNCH_FILES_MAX + LAUNCH_CVMS_MAX * (5 + CONFIG_VOLUMES_MAX))
_Static_assert(LAUNCH_IMAGES_MAX > LAUNCH_CVMS_MAX, "the libOS, and an image for each bare cVM");

static bool g_stdio_closed[3];

void launch_prepare_stdio(void)
{
	for (int fd = 0; fd < 3; fd++) {
		if (fcntl(fd, F_GETFD) >= 0)
			continue;
		g_stdio_closed[fd] = true;
		/* The lowest free descriptor is this one. */
		if (open("/dev/null", O_RDWR) != fd) {
			int error = errno;

			if (fcntl(STDERR_FILENO, F_GETFD) >= 0)
				message_error("descriptor %d is closed, and /dev/null cannot be opened in its place: %s (it must be there)", fd,
					      strerror(error));
			_exit(EXIT_CANNOT_START);
		}
	}
	/* What the caller left open must not reach the monitor; it may still be read here (-y /dev/fd/63). */
	syscall(SYS_close_range, 3u, ~0u, 4u /* CLOSE_RANGE_CLOEXEC */);
}

static int inherit(struct launch_plan *plan, int fd)
{
	plan->inherit[plan->inherited++] = fd;
	return fd;
}

/* cVMs that share a file as standard output must not be able to write over each other's. */
static void append_to_files(void)
{
	for (int fd = 1; fd < 3; fd++) {
		struct stat st;
		int flags = fcntl(fd, F_GETFL);

		if (flags >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
			fcntl(fd, F_SETFL, flags | O_APPEND);
	}
}

static struct launch_handle stdio_handle(int fd)
{
	int flags = g_stdio_closed[fd] ? -1 : fcntl(fd, F_GETFL);
	uint32_t rights = 0;

	if (flags < 0 || (flags & O_PATH))
		return (struct launch_handle){.kind = LAUNCH_HANDLE_STDIO, .fd = fd}; /* there, and good for nothing */
	if ((flags & O_ACCMODE) != O_WRONLY)
		rights |= LAUNCH_RIGHT_READ;
	if ((flags & O_ACCMODE) != O_RDONLY)
		rights |= LAUNCH_RIGHT_WRITE;
	return (struct launch_handle){.kind = LAUNCH_HANDLE_STDIO, .rights = rights, .fd = fd};
}

/* A descriptor, or an error that names the path and the remedy. */
static int open_host(const struct host_places *writable, const char *what, const char *path, int flags, const char *remedy,
		     struct config_error *error)
{
	const char *left;
	int fd = host_path_open(writable, path, flags, &left);

	if (left)
		return config_fail(error, "a link on the way to %s%.200s leads out of %.200s, to which a cVM may write (name the place that is "
				   "meant)", what, path, left);
	if (fd < 0)
		return config_fail(error, "cannot open %s%.200s%s: %s (%s)", what, path, *what ? "" : " on the host", strerror(-fd), remedy);
	return fd;
}

static int open_root(struct launch_plan *plan, const struct host_places *writable, const struct config_cvm *cvm,
		     struct launch_handle *handle, struct config_error *error)
{
	config_place(error, "%s", cvm->root_place ? cvm->root_place : cvm->place);
	int fd = open_host(writable, "the root directory ", cvm->root, O_RDONLY | O_DIRECTORY, "name an existing directory", error);

	if (fd < 0)
		return fd;
	*handle = (struct launch_handle){.kind = LAUNCH_HANDLE_DIR, .rights = LAUNCH_RIGHT_READ, .fd = inherit(plan, fd)};
	return 0;
}

/* Names the file without having it open, as the monitor needs it: the host may execute it, and lease it, meanwhile. Closes fd. */
static int name_only(int fd)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	int named = open(path, O_PATH | O_CLOEXEC), error = errno;
	close(fd);
	return named < 0 ? -error : named;
}

static int open_volume(struct launch_plan *plan, const struct host_places *writable, const struct config_volume *volume, bool *is_file,
		       struct launch_handle *handle, struct config_error *error)
{
	struct stat st, opened;

	config_place(error, "%s", volume->place);
	if (stat(volume->host, &st) < 0)
		return config_fail(error, "cannot find %.200s on the host: %s (create it first)", volume->host,
				   strerror(errno));
	*is_file = S_ISREG(st.st_mode);
	if (!S_ISDIR(st.st_mode) && !*is_file)
		return config_fail(error, "%.200s is neither a directory nor a regular file (only these can be granted)",
				   volume->host);
	if (!volume->read_only && cache_reached_from(volume->host))
		return config_fail(error, "%.200s and the code cache lie in one another, and who writes to that puts code into every cVM "
				   "(grant it :ro, grant less, or set XDG_CACHE_HOME to another place)", volume->host);
	/* Opening a FIFO or device that took the place meanwhile does not block. */
	int flags = *is_file ? (volume->read_only ? O_RDONLY : O_RDWR) | O_NONBLOCK | O_NOCTTY : O_RDONLY | O_DIRECTORY;
	int fd = open_host(writable, "", volume->host, flags,
			   *is_file && !volume->read_only ? "change its permissions or grant it :ro" : "change its permissions", error);
	if (fd < 0)
		return fd;
	if (*is_file && (fd = name_only(fd)) < 0)
		return config_fail(error, "cannot open %.200s on the host by its descriptor: %s (mount /proc)", volume->host, strerror(-fd));
	inherit(plan, fd);
	if (fstat(fd, &opened) < 0 || opened.st_dev != st.st_dev || opened.st_ino != st.st_ino)
		return config_fail(error, "%.200s was replaced while it was opened (try again)", volume->host);
	*handle = (struct launch_handle){
		.kind = *is_file ? LAUNCH_HANDLE_FILE : LAUNCH_HANDLE_DIR,
		.rights = LAUNCH_RIGHT_READ | (volume->read_only ? 0 : LAUNCH_RIGHT_WRITE),
		.fd = fd,
	};
	return 0;
}

/* A pair whose second end the monitor inherits. */
static int make_channel(struct launch_plan *plan, int flags, int *own, int32_t *inherited)
{
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | flags, 0, ends) < 0) {
		int error = errno;
		message_error("cannot create a socket pair: %s", strerror(error));
		return -error;
	}
	*own = ends[0];
	*inherited = inherit(plan, ends[1]);
	return 0;
}

/* cgroup v2's weight to the nice value with the nearest share (the kernel's sched_prio_to_weight, 1024 = weight 100). */
static int32_t nice_of_weight(uint32_t cpu_weight)
{
	static const uint32_t share[40] = {88761, 71755, 56483, 46273, 36291, 29154, 23254, 18705, 14949, 11916,
					   9548,  7620,	 6100,	4904,  3906,  3121,  2501,  1991,  1586,  1277,
					   1024,  820,	 655,	526,   423,   335,   272,   215,   172,   137,
					   110,	  87,	 70,	56,    45,    36,    29,    23,	   18,	  15};
	uint64_t wanted = (uint64_t)cpu_weight * 1024 / 100;
	int best = 39;

	/* The first entry at most the wanted share, or the one before if that is nearer. */
	for (int i = 0; i < 40; i++) {
		if (share[i] <= wanted) {
			best = i > 0 && share[i - 1] - wanted < wanted - share[i] ? i - 1 : i;
			break;
		}
	}
	return best - 20;
}

static int32_t allowed_nice(const struct config_cvm *cvm)
{
	int32_t nice = nice_of_weight(cvm->cpu_weight);
	struct rlimit limit = {0};

	if (nice == 0) /* as we have it ourselves, which need not be 0 */
		return getpriority(PRIO_PROCESS, 0);
	if (nice >= 0 || geteuid() == 0)
		return nice;
	getrlimit(RLIMIT_NICE, &limit);
	int32_t lowest = limit.rlim_cur > 40 ? -20 : 20 - (int32_t)limit.rlim_cur;
	if (nice >= lowest)
		return nice;
	message_warning("%s: a cpu weight of %u needs the right to raise priorities; 100 is used (ulimit -e, or run as root)",
			cvm->name, cvm->cpu_weight);
	return 0;
}

struct description {
	char *bytes;
	size_t size;
	const struct host_places *writable; /* what it says of the host is not behind links that cVMs made there */
};

static struct launch *description_head(struct description *d)
{
	return (struct launch *)(void *)d->bytes;
}

static struct launch_cvm *description_cvm(struct description *d, uint32_t i)
{
	return &description_head(d)->cvm[i];
}

/* Takes over the descriptors; the image's index. */
static uint32_t add_image(struct description *d, struct launch_plan *plan, const struct libos_image *image)
{
	struct launch *l = description_head(d);

	l->image[l->images] = (struct launch_image){
		.text = inherit(plan, image->text_fd), .data = inherit(plan, image->data_fd), .data_size = image->data_size,
		.bss_size = image->bss_size, .entry = image->entry,
	};
	return l->images++;
}

/* A program that several bare cVMs run is one image. */
static int add_bare_image(struct description *d, const struct config *config, uint32_t i, struct launch_plan *plan,
			  struct config_error *error)
{
	struct libos_image image;

	for (uint32_t j = 0; j < i; j++) {
		if (config->cvm[j]->bare && strcmp(config->cvm[j]->program, config->cvm[i]->program) == 0) {
			description_cvm(d, i)->image = description_cvm(d, j)->image;
			return 0;
		}
	}
	config_place(error, "%s", config->cvm[i]->place);
	int ret = bare_image_read(config->cvm[i]->program, &image, error);
	if (ret == 0)
		description_cvm(d, i)->image = add_image(d, plan, &image);
	return ret;
}

static int copy_file(int from, int to, uint64_t max, struct config_error *error)
{
	char *bytes = xcalloc(1, 1 << 20);
	uint64_t done = 0;
	ssize_t n = 0;
	int ret = 0;

	while (ret == 0 && (n = read(from, bytes, 1 << 20)) > 0) {
		done += (uint64_t)n;
		ret = done > max ? config_fail(error, "the host's file is larger than the size (%llu bytes)", (unsigned long long)max)
				 : memfile_write(to, bytes, (size_t)n);
	}
	if (n < 0)
		ret = config_fail(error, "cannot read the host's file: %s", strerror(errno));
	free(bytes);
	return ret;
}

/* The host's file into the memory file; its size is that of the content unless it was given. */
static int fill_file(const struct host_places *writable, const struct config_file *file, int fd, uint64_t *size, struct config_error *error)
{
	struct stat st;

	if (!file->host)
		return file->data ? memfile_write(fd, file->data, strlen(file->data)) : 0;
	int host = open_host(writable, "", file->host, O_RDONLY | O_NONBLOCK | O_NOCTTY, "create it first", error);
	if (host < 0)
		return host;
	int ret = 0;
	if (fstat(host, &st) < 0 || !S_ISREG(st.st_mode))
		ret = config_fail(error, "%.200s is not a regular file (only these can be read)", file->host);
	else if (!*size && st.st_size == 0)
		ret = config_fail(error, "%.200s is empty (give a size)", file->host);
	if (ret == 0 && !*size)
		*size = (uint64_t)st.st_size;
	if (ret == 0)
		ret = copy_file(host, fd, *size, error);
	close(host);
	return ret;
}

/* Nobody changes the size of a CP_File afterwards; its last page is CAP_HEED's. */
static int add_file(struct description *d, const struct config_file *file, struct launch_plan *plan,
		    struct config_error *error)
{
	struct launch *l = description_head(d);
	struct launch_file *f = &l->file[l->files];
	int fd = memfile_create("intravisor-file");

	config_place(error, "%s", file->place);
	if (fd < 0)
		return config_fail(error, "cannot make the file: %s", strerror(-fd));
	f->fd = inherit(plan, fd);
	f->size = file->size ? file->size : file->data ? strlen(file->data) : 0;
	memcpy(f->name, file->name, strlen(file->name));
	int ret = fill_file(d->writable, file, fd, &f->size, error);
	if (ret == 0 && (ftruncate(fd, (off_t)(CAP_HEED(f->size) + CVM_PAGE_SIZE)) < 0 || fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) < 0))
		ret = -errno;
	if (ret && !error->failed)
		ret = config_fail(error, "cannot make the file of %llu bytes: %s", (unsigned long long)f->size, strerror(-ret));
	if (ret == 0)
		l->files++;
	return ret;
}

static int add_boot(struct description *d, const struct config_cvm *cvm, uint32_t i, const bool *is_file, uint32_t exec,
		    uint32_t flags, struct config_error *error)
{
	void *block;
	size_t size;
	int ret = boot_build(cvm, is_file, exec, flags, &block, &size, error);

	if (ret)
		return ret;
	size_t padded = (size + 15) & ~(size_t)15;
	d->bytes = xrealloc(d->bytes, d->size + padded);
	memset(d->bytes + d->size, 0, padded);
	memcpy(d->bytes + d->size, block, size);
	free(block);
	description_cvm(d, i)->boot_offset = d->size;
	description_cvm(d, i)->boot_size = size;
	d->size += padded;
	return 0;
}

/* One pipe for standard output and error, so that their order is kept. */
static int capture_output(struct launch_plan *plan, uint32_t i, struct launch_cvm *l)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0) {
		int error = errno;
		message_error("cannot create a pipe: %s", strerror(error));
		return -error;
	}
	plan->output[i] = ends[0];
	l->handle[1] = l->handle[2] = (struct launch_handle){
		.kind = LAUNCH_HANDLE_STDIO, .rights = LAUNCH_RIGHT_WRITE, .fd = inherit(plan, ends[1])};
	return 0;
}

/* What `intravisor exec` needs, and who tells that it listens; its handle behind all others in *handle. Both ends stay here: what a
 * life of the cVM has left in them is taken out before the next. */
static int add_exec(struct launch_plan *plan, uint32_t i, struct launch_cvm *l, uint32_t *handle)
{
	struct launch_handle *h = &l->handle[l->handles];
	int ret = make_channel(plan, SOCK_NONBLOCK, &plan->exec[i][0], &h->fd);

	if (ret)
		return ret;
	h->kind = LAUNCH_HANDLE_STDIO;
	h->rights = LAUNCH_RIGHT_READ | LAUNCH_RIGHT_WRITE;
	*handle = l->handles++;
	plan->exec[i][1] = fcntl(h->fd, F_DUPFD_CLOEXEC, 3);
	if (plan->exec[i][1] >= 0)
		return 0;
	ret = -errno;
	message_error("cannot duplicate a descriptor: %s", strerror(-ret));
	return ret;
}

static int add_cvm(struct description *d, const struct config *config, uint32_t i, struct launch_plan *plan, struct config_error *error)
{
	const struct config_cvm *cvm = config->cvm[i];
	bool is_file[CONFIG_VOLUMES_MAX] = {0};
	struct launch_cvm *l = description_cvm(d, i);
	uint32_t exec = 0;

	strncpy(l->name, cvm->name, sizeof(l->name) - 1);
	l->memory_max = cvm->memory;
	l->threads_max = cvm->threads;
	l->handles_max = cvm->handles;
	l->nice = plan->nice[i] = allowed_nice(cvm);
	l->flags = (cvm->after.count ? LAUNCH_CVM_DEFERRED : 0) | (cvm->isolate_libos ? LAUNCH_CVM_ISOLATED : 0);
	l->caps_max = cvm->caps;
	l->grants = cvm->grants;
	memcpy(l->grant, cvm->grant, cvm->grants * sizeof(cvm->grant[0]));
	l->net_rules = cvm->net_rules;
	memcpy(l->net_rule, cvm->net_rule, cvm->net_rules * sizeof(cvm->net_rule[0]));
	for (int fd = 0; fd < 3; fd++)
		l->handle[fd] = stdio_handle(fd);
	int ret = cvm->bare ? 0 : open_root(plan, d->writable, cvm, &l->handle[BOOT_HANDLE_ROOT], error);
	for (uint32_t v = 0; ret == 0 && v < cvm->volumes; v++)
		ret = open_volume(plan, d->writable, &cvm->volume[v], &is_file[v], &l->handle[BOOT_HANDLE_VOLUMES + v], error);
	l->handles = cvm->bare ? BOOT_HANDLE_ROOT : BOOT_HANDLE_VOLUMES + cvm->volumes;
	if (ret == 0 && config->capture)
		ret = capture_output(plan, i, l);
	l->handle[BOOT_HANDLE_LOG] = (struct launch_handle){.kind = LAUNCH_HANDLE_STDIO, .rights = LAUNCH_RIGHT_WRITE};
	if (ret == 0)
		ret = make_channel(plan, SOCK_NONBLOCK, &plan->log[i], &l->handle[BOOT_HANDLE_LOG].fd);
	if (ret == 0)
		ret = make_channel(plan, 0, &plan->code_channel[i], &l->code_channel);
	if (ret == 0 && !cvm->bare && (cvm->ready.listen || ((config->controlled || config->job) && !cvm->syscalls_to)))
		ret = add_exec(plan, i, l, &exec);
	const uint32_t flags = (config->job ? BOOT_FLAG_JOB : 0) | (config->detached ? BOOT_FLAG_DETACHED : 0);
	return ret ? ret : add_boot(d, cvm, i, is_file, exec, flags, error);
}

/* Threads are limited for all cVMs together: where their limits sum up to more, each gets a share of that. */
static void share_threads(const struct config *config, struct description *d)
{
	uint64_t wanted = 0;
	bool configured = false;

	for (uint32_t i = 0; i < config->cvms; i++) {
		wanted += config->cvm[i]->threads;
		configured |= config->cvm[i]->threads != CONFIG_THREADS_DEFAULT;
	}
	if (wanted <= LAUNCH_THREADS_MAX)
		return;
	for (uint32_t i = 0; i < config->cvms; i++) {
		struct launch_cvm *l = description_cvm(d, i);
		uint64_t share = (uint64_t)l->threads_max * LAUNCH_THREADS_MAX / wanted;

		l->threads_max = share ? (uint32_t)share : 1;
	}
	if (configured)
		message_warning("an Intravisor has room for %u threads, so cVMs get fewer than configured (lower threads:, or run "
				"some cVMs in another Intravisor)", LAUNCH_THREADS_MAX);
}

/* Descriptors are limited per process, and all cVMs are one process. The monitor's own come on top: those of code images,
 * and at most two of each thread's running hostcall. */
static void raise_file_limit(const struct config *config, const struct launch_plan *plan, struct description *d)
{
	struct rlimit limit;
	uint64_t own = plan->inherited + 64, wanted = 0;
	bool configured = false;

	for (uint32_t i = 0; i < config->cvms; i++) {
		own += CODE_IMAGES_EACH + 2 * description_cvm(d, i)->threads_max;
		wanted += config->cvm[i]->handles;
		configured |= config->cvm[i]->handles != CONFIG_HANDLES_DEFAULT;
	}
	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	if (limit.rlim_max < own + wanted) {
		struct rlimit more = {own + wanted, own + wanted};

		if (setrlimit(RLIMIT_NOFILE, &more) == 0)
			return;
		/* Share what there is, in proportion; nobody gets less than a few. */
		uint64_t left = limit.rlim_max > 2 * own ? limit.rlim_max - own : limit.rlim_max / 2;
		for (uint32_t i = 0; i < config->cvms; i++) {
			struct launch_cvm *l = description_cvm(d, i);
			uint64_t share = left * l->handles_max / wanted;

			l->handles_max = share < 16 ? 16 : (uint32_t)share;
		}
		if (configured)
			message_warning("the host allows %llu open files, so cVMs get fewer handles than configured "
					"(raise ulimit -Hn to %llu)",
					(unsigned long long)limit.rlim_max, (unsigned long long)(own + wanted));
	}
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
		message_warning("cannot raise the limit of open files: %s", strerror(errno));
}

/* The most that a cVM can watch: half of its handles are files, half of them are spent on epolls. */
static uint64_t watches(uint64_t handles)
{
	return handles * handles / (4 * LAUNCH_EPOLL_HANDLES);
}

/* What the user's processes may watch by epoll is limited: all cVMs together get half of it. */
static void share_watches(const struct config *config, struct description *d)
{
	unsigned long long limit = 0;
	FILE *f = fopen("/proc/sys/fs/epoll/max_user_watches", "re");
	bool known = f && fscanf(f, "%llu", &limit) == 1, configured = false;

	if (f)
		fclose(f);
	for (uint32_t i = 0; known && i < config->cvms; i++) {
		struct launch_cvm *l = description_cvm(d, i);
		uint32_t wanted = l->handles_max;

		while (l->handles_max > 64 && watches(l->handles_max) > limit / 2 / config->cvms)
			l->handles_max -= l->handles_max / 16;
		configured |= l->handles_max < wanted && config->cvm[i]->handles != CONFIG_HANDLES_DEFAULT;
	}
	if (configured)
		message_warning("the host allows %llu watches of epoll, so cVMs get fewer handles than configured "
				"(raise fs.epoll.max_user_watches)", limit);
}

/* What libOSes tell their programs of the machine. */
static void describe_host(struct launch *l)
{
	unsigned a = 0, b, c, d, components;
	struct sysinfo info = {0};
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	sched_getaffinity(0, sizeof(cpus), &cpus);
	l->host_cpus = (uint32_t)CPU_COUNT(&cpus);
	sysinfo(&info);
	l->host_memory = (uint64_t)info.totalram * info.mem_unit;
	l->xsave_size = 576; /* legacy area and header */
	__get_cpuid_count(0xd, 0, &a, &b, &c, &d);
	components = a & 0xe4;
	for (unsigned i = 0; i < 8; i++)
		if (components & 1u << i && __get_cpuid_count(0xd, i, &a, &b, &c, &d) && a + b > l->xsave_size)
			l->xsave_size = a + b;
}

static int write_description(struct launch_plan *plan, const struct description *d)
{
	int fd = memfile_create("intravisor-launch");
	int ret = fd < 0 ? fd : memfile_write(fd, d->bytes, d->size);

	if (ret == 0)
		ret = memfile_seal(fd);
	if (ret) {
		message_error("cannot write the launch description: %s", strerror(-ret));
		if (fd >= 0)
			close(fd);
		return ret;
	}
	plan->launch_fd = inherit(plan, fd);
	return 0;
}

int launch_build(const struct config *config, uint32_t insecure, const struct libos_image *image,
		 const struct host_places *writable, struct launch_plan *plan, struct config_error *error)
{
	struct description d = {.size = offsetof(struct launch, cvm) + config->cvms * sizeof(struct launch_cvm), .writable = writable};
	int32_t event_channel = -1;

	d.bytes = xcalloc(1, d.size);
	*plan = (struct launch_plan){.launch_fd = -1, .event_channel = -1};
	memset(plan->code_channel, -1, sizeof(plan->code_channel));
	memset(plan->output, -1, sizeof(plan->output));
	memset(plan->log, -1, sizeof(plan->log));
	memset(plan->exec, -1, sizeof(plan->exec));
	plan->inherit = xcalloc(INHERIT_MAX, sizeof(int));
	add_image(&d, plan, image);
	if (config->cvms > 1)
		append_to_files();
	int ret = make_channel(plan, 0, &plan->event_channel, &event_channel);
	for (uint32_t i = 0; ret == 0 && i < config->files; i++)
		ret = add_file(&d, &config->file[i], plan, error);
	for (uint32_t i = 0; ret == 0 && i < config->cvms; i++) {
		ret = add_cvm(&d, config, i, plan, error);
		if (ret == 0 && config->cvm[i]->bare)
			ret = add_bare_image(&d, config, i, plan, error);
	}
	if (ret == 0) {
		struct launch *l = description_head(&d);

		share_threads(config, &d);
		share_watches(config, &d);
		raise_file_limit(config, plan, &d);
		l->magic = LAUNCH_MAGIC;
		l->version = LAUNCH_VERSION;
		l->size = (uint32_t)d.size;
		l->insecure = insecure;
		l->event_channel = event_channel;
		l->flags = config->stay ? LAUNCH_STAY : 0;
		l->cvms = config->cvms;
		describe_host(l);
		ret = write_description(plan, &d);
	}
	free(d.bytes);
	if (ret)
		launch_close(plan);
	return ret;
}

void launch_close_inherited(struct launch_plan *plan)
{
	for (size_t i = 0; i < plan->inherited; i++)
		close(plan->inherit[i]);
	free(plan->inherit);
	plan->inherit = NULL;
	plan->inherited = 0;
}

void launch_close(struct launch_plan *plan)
{
	launch_close_inherited(plan);
	if (plan->event_channel >= 0)
		close(plan->event_channel);
	for (int i = 0; i < LAUNCH_CVMS_MAX; i++) {
		if (plan->code_channel[i] >= 0)
			close(plan->code_channel[i]);
		if (plan->output[i] >= 0)
			close(plan->output[i]);
		if (plan->log[i] >= 0)
			close(plan->log[i]);
		for (int end = 0; end < 2; end++)
			if (plan->exec[i][end] >= 0)
				close(plan->exec[i][end]);
	}
}
