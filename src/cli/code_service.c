/*
 * The code service: see code_service.h. Driven by the event loop of supervise.c. Requests come from the monitor but
 * name files and sizes that cVMs chose; translators work on hostile files and are trusted to do no more than fill the
 * memory file (the monitor scans it) or fail.
 */
#include "cli/code_service.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "abi/channel.h"
#include "abi/code_image.h"
#include "abi/slot.h"
#include "cli/clock.h"
#include "cli/memfile.h"
#include "cli/message.h"
#include "cli/private_dir.h"
#include "cli/process.h"

#define TRANSLATE_TIMEOUT_MS 120000
#define TRANSLATE_MEMORY_MIN (256ull << 20)
#define PREFETCH_KEEP_MS 5000
#define STORE_TIMEOUT_MS 10000 /* at the end of the run */
#define STORE_MAX (CACHE_SIZE_MAX / 2) /* for one cVM in one run: meanwhile everybody waits, and nobody trims */
#define REASON_MAX 512

void code_service_init(struct code_service *service, const char *translator, const int *channels, uint32_t count,
		       const char *programs, const sigset_t *blocked, bool verbose)
{
	*service = (struct code_service){
		.translator = translator, .blocked = *blocked, .channels = count, .verbose = verbose};
	for (uint32_t i = 0; i < count; i++)
		service->channel[i] = channels[i];
	cache_open(&service->cache);
	prefetch_begin(&service->prefetch, &service->cache, programs);
	if (prefetch_pending(&service->prefetch))
		service->prefetch_end_ms = clock_ms() + PREFETCH_KEEP_MS;
	if (service->cache.directory < 0 && verbose)
		message_warning("no code cache on disk, programs start slower: %s: %s",
				service->cache.path ? service->cache.path : "HOME",
				service->cache.path ? private_dir_error(-service->cache.error) : "not set (nor is XDG_CACHE_HOME)");
}

void code_service_poll(const struct code_service *service, struct pollfd *entries)
{
	for (uint32_t i = 0; i < service->channels; i++)
		entries[i] = (struct pollfd){.fd = service->channel[i], .events = POLLIN};
}

static void drop_waiting(struct code_waiting *request)
{
	if (request->any)
		close(request->source);
	request->any = false;
}

static void close_channel(struct code_service *service, uint32_t i)
{
	drop_waiting(&service->waiting[i]);
	close(service->channel[i]);
	service->channel[i] = -1;
}

/* Its share is what the monitor would grant (image_add). Beyond that nothing is made, loaded or kept on disk, where it would be
 * nobody's: not counted, and there for as long as the cVM likes. */
static bool affords(const struct code_service *service, uint32_t i, uint64_t bytes)
{
	const struct code_share *share = &service->share[i];

	return service->unlimited || (share->images < CODE_IMAGES_EACH && share->bytes <= share->memory && bytes <= share->memory - share->bytes);
}

/* Code and stubs; what an entry of the cache has behind them is less than a page. */
static uint64_t image_bytes(int image)
{
	struct stat st;

	return fstat(image, &st) < 0 || st.st_size < (off_t)CODE_IMAGE_HEADER_SIZE
		       ? 0
		       : ((uint64_t)st.st_size - CODE_IMAGE_HEADER_SIZE) & ~(CVM_PAGE_SIZE - 1);
}

/* With image >= 0 the descriptor goes along; it stays the caller's. */
static void reply(struct code_service *service, uint32_t i, int status, int image, const char *reason)
{
	struct channel_message header = {.type = CHANNEL_CODE_REPLY, .cvm = i, .request = service->request[i]};
	int32_t code = status;
	size_t reason_size = strnlen(reason, REASON_MAX);
	struct iovec parts[3] = {{&header, sizeof(header)}, {&code, sizeof(code)}, {(char *)(uintptr_t)reason, reason_size}};
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control;
	struct msghdr message = {.msg_iov = parts, .msg_iovlen = 3};

	if (service->waiting[i].any) /* then nobody waits for this one */
		return;
	header.size = (uint32_t)(sizeof(code) + reason_size);
	if (image >= 0) {
		memset(&control, 0, sizeof(control));
		message.msg_control = &control;
		message.msg_controllen = sizeof(control);
		struct cmsghdr *c = CMSG_FIRSTHDR(&message);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &image, sizeof(int));
	}
	/* The monitor waits for this one reply, or gave it up and finds it at the next, so there is room; if it is gone its end is noticed
	 * elsewhere. */
	if (sendmsg(service->channel[i], &message, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		close_channel(service, i);
	if (status < 0)
		service->failed++;
}

static void reply_error(struct code_service *service, uint32_t i, int status, const char *what)
{
	char reason[REASON_MAX];

	snprintf(reason, sizeof(reason), "%s: %s", what, strerror(-status));
	reply(service, i, status, -1, reason);
}

/* The monitor will refuse it: here is known why. libOS says of which file. */
static void warn_of_forbidden(int image)
{
	struct code_image_header header;

	if (pread(image, &header, sizeof(header), 0) != sizeof(header) || !header.forbidden_left)
		return;
	message_warning("code that a cVM wants to run holds what would leave it: %.*s", (int)sizeof(header.reason), header.reason);
}

static bool reply_image(struct code_service *service, uint32_t i, int image)
{
	uint64_t bytes = image_bytes(image);

	if (!affords(service, i, bytes)) {
		reply_error(service, i, -ENOMEM, "the cVM's share of code images");
		return false;
	}
	service->share[i].images++;
	service->share[i].bytes += bytes;
	warn_of_forbidden(image);
	reply(service, i, service->job[i].once ? CHANNEL_CODE_ONCE : 0, image, "");
	return true;
}

/* Descriptors that came with a message: the first one, the others are closed. -1 if there is none. */
static int take_descriptor(struct msghdr *message)
{
	int first = -1;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < count; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
			if (first < 0)
				first = fd;
			else
				close(fd);
		}
	}
	return first;
}

/* 1: a request with its descriptor; 0: nothing (now, or ever again); negative: a bad message, to be answered. */
static int receive(struct code_service *service, uint32_t i, struct channel_code_request *request, int *source)
{
	struct channel_message header;
	struct iovec parts[2] = {{&header, sizeof(header)}, {request, sizeof(*request)}};
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(4 * sizeof(int))];
	} control;
	struct msghdr message = {
		.msg_iov = parts, .msg_iovlen = 2, .msg_control = &control, .msg_controllen = sizeof(control)};

	ssize_t size = recvmsg(service->channel[i], &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	if (size < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (size <= 0) {
		close_channel(service, i);
		return 0;
	}
	*source = take_descriptor(&message);
	service->request[i] = (size_t)size >= sizeof(header) ? header.request : 0;
	if ((size_t)size == sizeof(header) + sizeof(*request) && !(message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) &&
	    header.type == CHANNEL_CODE_REQUEST && header.size == sizeof(*request) && *source >= 0)
		return 1;
	if (*source >= 0)
		close(*source);
	return -EINVAL;
}

static void close_job(struct code_job *job)
{
	const int files[] = {job->source, job->image, job->output};

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		if (files[i] >= 0)
			close(files[i]);
	*job = (struct code_job){0};
}

static pid_t start_translator(struct code_service *service, const struct code_job *job,
			      const struct channel_code_request *request)
{
	char in[16], out[16], offset[24], size[24];
	char *arguments[] = {(char[]){"intravisor-translate"}, in, out, offset, size,
			     request->stubs ? (char[]){"1"} : (char[]){"0"}, NULL};
	int keep[2] = {job->source, job->image};

	snprintf(in, sizeof(in), "%d", job->source);
	snprintf(out, sizeof(out), "%d", job->image);
	snprintf(offset, sizeof(offset), "%llu", (unsigned long long)request->offset);
	snprintf(size, sizeof(size), "%llu", (unsigned long long)request->size);
	pid_t pid = process_start(service->translator, arguments, keep, 2, job->output, &service->blocked);
	if (pid == -EAGAIN && cache_wait(&service->cache)) /* the user's limit of processes */
		pid = process_start(service->translator, arguments, keep, 2, job->output, &service->blocked);
	return pid;
}

/* Takes over `source`. */
static void translate(struct code_service *service, uint32_t i, int source, const struct channel_code_request *request,
		      struct code_job *job)
{
	job->source = source;
	job->image = memfile_create("intravisor-code");
	job->output = memfile_create("intravisor-translate-output");
	pid_t pid = job->image < 0 ? job->image : job->output < 0 ? job->output : start_translator(service, job, request);
	if (pid < 0) {
		reply_error(service, i, pid == -ENOENT ? -ENOEXEC : (int)pid, "cannot start the code translator");
		close_job(job);
		return;
	}
	/* What translating takes is for the cVM that asked; its own limit, the translator's, may be lower. */
	uint64_t most = TRANSLATE_MEMORY_MIN + 4 * service->share[i].memory;
	prlimit(pid, RLIMIT_AS, &(struct rlimit){most, most}, NULL);
	if (service->share[i].nice > getpriority(PRIO_PROCESS, 0))
		setpriority(PRIO_PROCESS, (id_t)pid, service->share[i].nice);
	job->pid = pid;
	job->deadline_ms = clock_ms() + TRANSLATE_TIMEOUT_MS;
}

/* Does anybody have the file open for writing? Then it may be mapped and written to without a change of its times, by which alone what
 * is made of it now would be found again. Where nobody can tell (files of other users, file systems without leases) it counts as no. */
static bool being_written(int source)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", source);
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	bool written = fd >= 0 && fcntl(fd, F_SETSIG, SIGURG) == 0 && fcntl(fd, F_SETLEASE, F_RDLCK) < 0 && errno == EAGAIN;

	if (fd >= 0)
		close(fd); /* and with it the lease */
	return written;
}

/* Of one cVM, which wrote it by itself and alone can name it. */
static bool memory_object(int source)
{
	char path[32], name[8];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", source);
	return readlink(path, name, sizeof(name)) == sizeof(name) && memcmp(name, "/memfd:", 7) == 0;
}

static bool translator_known(struct code_service *service)
{
	if (!service->translator_known)
		service->translator_known = stat(service->translator, &service->translator_stat) == 0;
	return service->translator_known;
}

static void handle_request(struct code_service *service, uint32_t i, int source, const struct channel_code_request *request)
{
	struct code_job *job = &service->job[i];

	*job = (struct code_job){.source = -1, .image = -1, .output = -1};
	if (fstat(source, &job->source_stat) < 0 || !S_ISREG(job->source_stat.st_mode) || request->size == 0 ||
	    request->offset % 4096 || request->offset >= (uint64_t)job->source_stat.st_size) {
		reply_error(service, i, -EINVAL, "no segment of a regular file");
		job->source = source;
		close_job(job);
		return;
	}
	if (!affords(service, i, request->size)) {
		reply_error(service, i, -ENOMEM, "the cVM's share of code images");
		job->source = source;
		close_job(job);
		return;
	}
	bool settled = translator_known(service) &&
		       cache_key_make(&job->source_stat, request->offset, request->size, request->stubs,
				      &service->translator_stat, &job->key);
	int image = settled ? prefetch_take(&service->prefetch, &job->key) : -ENOENT;
	if (image < 0 && settled)
		image = cache_load(&service->cache, &job->key);
	if (image >= 0) {
		prefetch_used(&service->prefetch, &job->key);
		if (reply_image(service, i, image))
			service->loaded++;
		job->source = source;
		job->image = image;
		close_job(job);
		return;
	}
	job->once = !memory_object(source) && being_written(source);
	job->cacheable = settled && !job->once && service->cache.directory >= 0;
	translate(service, i, source, request, job);
}

/* The last request that the channel has: a bad one is answered here. True: it is in waiting[i], in place of those before. */
static bool receive_last(struct code_service *service, uint32_t i)
{
	struct code_waiting *last = &service->waiting[i];
	struct code_waiting next;
	int ret;

	while ((ret = receive(service, i, &next.request, &next.source)) != 0) {
		drop_waiting(last);
		if (ret < 0) {
			reply_error(service, i, ret, "bad code request");
			continue;
		}
		next.any = true;
		*last = next;
	}
	return last->any;
}

static void handle_waiting(struct code_service *service, uint32_t i)
{
	struct code_waiting request = service->waiting[i];

	service->waiting[i].any = false;
	handle_request(service, i, request.source, &request.request);
}

void code_service_handle(struct code_service *service, const struct pollfd *entries)
{
	for (uint32_t i = 0; i < service->channels; i++)
		/* Answers from the cache leave no job: go on until the channel is empty. */
		while (entries[i].revents && service->channel[i] >= 0 && receive_last(service, i) && !service->job[i].pid)
			handle_waiting(service, i);
}

/* What the translator wrote, as one line. */
static void read_reason(const struct code_job *job, int status, char reason[REASON_MAX])
{
	ssize_t size = pread(job->output, reason, REASON_MAX - 1, 0);

	reason[size > 0 ? size : 0] = '\0';
	reason[strcspn(reason, "\n")] = '\0';
	if (reason[0])
		return;
	if (WIFSIGNALED(status))
		snprintf(reason, REASON_MAX, "the code translator was killed by signal %d", WTERMSIG(status));
	else
		snprintf(reason, REASON_MAX, "the code translator failed with status %d", WEXITSTATUS(status));
}

/* The file must not have changed while it was read, or the entry would be filed under the wrong key. */
static void store(struct code_service *service, struct code_share *share, const struct code_job *job)
{
	uint64_t bytes = image_bytes(job->image);
	struct stat now;

	if (!job->cacheable || bytes > STORE_MAX - share->stored || fstat(job->source, &now) < 0 || now.st_size != job->source_stat.st_size ||
	    memcmp(&now.st_mtim, &job->source_stat.st_mtim, sizeof(now.st_mtim)) != 0 ||
	    memcmp(&now.st_ctim, &job->source_stat.st_ctim, sizeof(now.st_ctim)) != 0)
		return;
	share->stored += bytes;
	int ret = cache_store(&service->cache, &job->key, job->image);
	if (ret == 0)
		prefetch_used(&service->prefetch, &job->key);
	if (ret && service->verbose && !service->cache_warned) {
		service->cache_warned = true;
		message_warning("cannot add to the code cache %s: %s", service->cache.path, strerror(-ret));
	}
}

void code_service_reaped(struct code_service *service, pid_t pid, int status)
{
	uint32_t i = 0;

	while (i < service->channels && service->job[i].pid != pid)
		i++;
	if (i == service->channels) {
		cache_reaped(&service->cache, pid);
		return;
	}
	struct code_job *job = &service->job[i];
	bool done = WIFEXITED(status) && WEXITSTATUS(status) == 0;
	/* Before the reply: whoever still touches pages of the file can make the monitor's sealing fail (EBUSY). */
	if (done && affords(service, i, image_bytes(job->image)))
		store(service, &service->share[i], job);
	if (service->channel[i] >= 0 && done) {
		if (reply_image(service, i, job->image))
			service->translated++;
	} else if (service->channel[i] >= 0) {
		char reason[REASON_MAX];

		read_reason(job, status, reason);
		reply(service, i, -ENOEXEC, -1, reason);
	}
	close_job(job);
	if (service->waiting[i].any)
		handle_waiting(service, i);
}

void code_service_idle(struct code_service *service)
{
	prefetch_step(&service->prefetch);
	if (service->prefetch_end_ms && clock_ms() >= service->prefetch_end_ms) {
		service->prefetch_end_ms = 0;
		prefetch_drop(&service->prefetch);
	}
}

int code_service_timeout(struct code_service *service)
{
	int64_t now = 0, next = -1;

	if (prefetch_pending(&service->prefetch))
		return 0;
	if (service->prefetch_end_ms) {
		now = clock_ms();
		next = service->prefetch_end_ms > now ? service->prefetch_end_ms - now : 0;
	}
	for (uint32_t i = 0; i < service->channels; i++) {
		const struct code_job *job = &service->job[i];

		if (!job->pid)
			continue;
		now = now ? now : clock_ms();
		if (job->deadline_ms <= now)
			kill(job->pid, SIGKILL);
		else if (next < 0 || job->deadline_ms - now < next)
			next = job->deadline_ms - now;
	}
	return (int)next;
}

/* What the next run is to find; SIGCHLD is blocked. A disk that takes longer is left to it. */
static void wait_for_entries(struct code_service *service)
{
	int64_t end = clock_ms() + STORE_TIMEOUT_MS, left;
	sigset_t children;

	sigemptyset(&children);
	sigaddset(&children, SIGCHLD);
	while (cache_busy(&service->cache) && (left = end - clock_ms()) > 0) {
		pid_t pid = waitpid(-1, NULL, WNOHANG);

		if (pid > 0)
			cache_reaped(&service->cache, pid);
		else if (pid < 0)
			break;
		else
			sigtimedwait(&children, NULL, &(struct timespec){left / 1000, left % 1000 * 1000000});
	}
}

void code_service_end(struct code_service *service)
{
	struct cache_usage left, removed;

	for (uint32_t i = 0; i < service->channels; i++) {
		struct code_job *job = &service->job[i];

		if (job->pid) {
			kill(job->pid, SIGKILL);
			while (waitpid(job->pid, NULL, 0) < 0 && errno == EINTR)
				;
			close_job(job);
		}
		if (service->channel[i] >= 0)
			close_channel(service, i);
	}
	prefetch_end(&service->prefetch);
	wait_for_entries(service);
	if (service->cache.stored && !cache_busy(&service->cache) &&
	    cache_trim(&service->cache, CACHE_SIZE_MAX, &left, &removed) < 0 && service->verbose)
		message_warning("cannot look through the code cache %s", service->cache.path);
	cache_close(&service->cache);
}
