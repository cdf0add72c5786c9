/*
 * Starts a program (loader/exec.h): opens it, follows "#!" lines, reads the headers of the program and its interpreter
 * before anything is mapped, maps both, builds the stack. Called by main.c and process/. Trusts nothing in the files.
 */
#include "loader/exec.h"
#include "core/hostcall.h"
#include "core/kheap.h"
#include "fs/vfs.h"
#include "loader/elf_map.h"
#include "loader/stack.h"
#include "mm/mm.h"
#include "process/turn.h"
#include "sys/trace.h"
#include "thread/thread.h"

#define STATUS_EXEC 126
#define STATUS_NOT_FOUND 127
#define SCRIPT_DEPTH 5
#define SCRIPT_LINE 256 /* BINPRM_BUF_SIZE */
#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

struct exec {
	char *path;	   /* what is opened now: the program or a script's interpreter; kmalloc'ed */
	char *name;	   /* what the program is told; kmalloc'ed */
	const char **argv; /* kmalloc'ed; strings from the caller or owned[] */
	char *owned[2 * SCRIPT_DEPTH + SCRIPT_DEPTH];
	unsigned owned_count;
	bool low_window_own; /* this cVM has it, for another process */
	struct image program, interpreter;
	char *why;
	size_t why_size;
};

static const char *own(struct exec *e, char *s)
{
	if (s)
		e->owned[e->owned_count++] = s;
	return s;
}

/* What somebody may have overlooked whose file exists on the host. */
static const char *not_there(const char *path)
{
	if (*path != '/')
		return "; the path starts in the cVM's working directory, which -w sets";
	if (vfs_ends_in_memory(path))
		return "; what the host has there, the cVM has if -v grants it";
	return strchr(path, ' ') ? "; arguments are words of their own" : "";
}

static struct file *open_executable(struct exec *e, const char *path, int *error)
{
	struct file *f = vfs_open(path, O_RDONLY | O_CLOEXEC, 0, error);

	if (!f) {
		format(e->why, e->why_size, "%s: cannot be opened (%s%s)", path, errno_text(-*error),
		       *error == -ENOENT ? not_there(path) : "");
		return NULL;
	}
	*error = vfs_check_executable(f);
	if (!*error)
		return f;
	format(e->why, e->why_size, "%s: is not an executable file (chmod +x it, or name its interpreter)", path);
	file_put(f);
	return NULL;
}

/* Replace argv[0] by interpreter, optional argument and the script: the first one's name, paths of further ones. */
static int script_argv(struct exec *e, int depth, char *interpreter, char *argument)
{
	const char *head[3] = {interpreter};
	size_t n = 0, heads = 1;
	const char **argv;

	if (argument)
		head[heads++] = argument;
	head[heads++] = depth ? e->path : e->name;
	while (e->argv[n])
		n++;
	argv = kmalloc((heads + n + 1) * sizeof(*argv));
	if (!argv)
		return -ENOMEM;
	memcpy(argv, head, heads * sizeof(*argv));
	if (n)
		memcpy(argv + heads, e->argv + 1, n * sizeof(*argv));
	else
		argv[heads] = NULL;
	kfree(e->argv);
	e->argv = argv;
	own(e, e->path);
	e->path = kstrdup(interpreter);
	return e->path ? 0 : -ENOMEM;
}

static char *skip_blanks(char *s)
{
	while (*s == ' ' || *s == '\t')
		s++;
	return s;
}

/* `line` is the start of a file that begins with "#!"; takes it apart as Linux does. */
static int follow_script(struct exec *e, int depth, char *line)
{
	char *name = skip_blanks(line + 2), *end, *argument;
	char *newline = strchr(name, '\n');

	if (newline)
		*newline = '\0';
	else if (strlen(line) >= SCRIPT_LINE - 1 && !strchr(name, ' ') && !strchr(name, '\t'))
		return -ENOEXEC; /* the interpreter's name is cut off */
	for (end = name + strlen(name); end > name && (end[-1] == ' ' || end[-1] == '\t'); end--)
		end[-1] = '\0';
	for (end = name; *end && *end != ' ' && *end != '\t'; end++)
		;
	argument = *end ? skip_blanks(end + 1) : NULL;
	*end = '\0';
	if (!*name) {
		format(e->why, e->why_size, "%s: its #! line names no interpreter", e->path);
		return -ENOEXEC;
	}
	name = kstrdup(name);
	if (!own(e, name))
		return -ENOMEM;
	if (argument && *argument) {
		argument = kstrdup(argument);
		if (!own(e, argument))
			return -ENOMEM;
	} else {
		argument = NULL;
	}
	return script_argv(e, depth, name, argument);
}

/* Unless the sentence stands already. */
static void explain(struct exec *e, const char *path, int error)
{
	if (e->why[0])
		return;
	if (error > 0)
		format(e->why, e->why_size, "%s: %s", path, elf_error_text(error));
	else if (error == -EBUSY)
		format(e->why, e->why_size,
		       "%s: linked at a fixed address, and another %s has the one low window: rebuild with -fPIE -pie, or run it in "
		       "an Intravisor of its own", path, e->low_window_own ? "process of this cVM" : "cVM");
	else if (error == -EAGAIN)
		format(e->why, e->why_size,
		       "%s: its code cannot be translated: the host has no process for that (raise ulimit -u or the container's limit "
		       "of processes)", path);
	else
		format(e->why, e->why_size, "%s: cannot be loaded (%s)", path, errno_text(-error));
}

/* Opens e->path, following scripts, until it is an ELF file whose headers are good. */
static int open_program(struct exec *e)
{
	char line[SCRIPT_LINE];
	int ret;

	for (int depth = 0;; depth++) {
		struct file *f = open_executable(e, e->path, &ret);
		ssize_t n;

		if (!f)
			return ret;
		n = file_pread(f, line, sizeof(line) - 1, 0);
		if (n < 2 || line[0] != '#' || line[1] != '!') {
			ret = n < 0 ? (file_put(f), (int)n) : image_read(&e->program, f);
			if (ret)
				explain(e, e->path, ret);
			return ret;
		}
		file_put(f);
		if (depth >= SCRIPT_DEPTH) {
			format(e->why, e->why_size, "%s: too many levels of #! interpreters", e->path);
			return -ELOOP;
		}
		line[n] = '\0';
		ret = follow_script(e, depth, line);
		if (ret)
			return ret;
	}
}

static int open_interpreter(struct exec *e)
{
	const char *path = e->program.interpreter;
	struct file *f;
	int ret;

	if (!path)
		return 0;
	f = open_executable(e, path, &ret);
	if (!f) {
		if (ret == -ENOENT)
			format(e->why, e->why_size, "%s: its dynamic loader %s is not in the cVM's file system", e->path, path);
		return ret;
	}
	ret = image_read(&e->interpreter, f);
	if (ret)
		explain(e, path, ret);
	return ret;
}

/* Where others are, too, they take turns. Who comes and goes at the same time decides which it is. */
static int take_place(const struct elf_info *info)
{
	uint64_t start = ALIGN_DOWN(info->start, PAGE_SIZE), end = ALIGN_UP(info->end, PAGE_SIZE);
	int ret;

	if (!info->fixed)
		return 0;
	while ((ret = mm_reserve_fixed(start, end)) == -EBUSY) {
		ret = turn_join(start, end);
		if (!ret)
			turn_resume(current());
		if (ret != -EAGAIN)
			break;
		hostcall(HC_thread_yield);
	}
	return ret;
}

/* The old program is gone from here on. */
static int map_program(struct exec *e, const char *const *envp, struct exec_start *start)
{
	struct stack_request rq = {.argv = e->argv, .envp = envp, .path = e->name, .program = &e->program};
	long top;
	int ret;

	mm_brk_init();
	ret = take_place(&e->program.info);
	if (!ret)
		ret = image_map(&e->program);
	if (!ret && e->interpreter.file) {
		ret = image_map(&e->interpreter);
		rq.interpreter_base = e->interpreter.bias;
	}
	if (ret)
		return ret;
	top = mm_map_stack();
	if (top < 0)
		return (int)top;
	rq.top = (uint64_t)top;
	if (e->program.info.exec_stack)
		ret = mm_protect(rq.top - MM_STACK_MAX, MM_STACK_MAX, PROT_READ | PROT_WRITE | PROT_EXEC);
	if (ret)
		return ret;
	start->rip = e->interpreter.file ? e->interpreter.bias + e->interpreter.info.entry :
					  e->program.bias + e->program.info.entry;
	return stack_build(&rq, &start->rsp);
}

/* What others say about the program from now on: /proc/self/exe and the thread's name. */
static void set_names(struct exec *e)
{
	struct process *p = current()->process;
	const char *base = strrchr(e->name, '/');
	char *comm = current()->comm;
	size_t n;

	mutex_lock(&p->lock); /* /proc */
	file_path(e->program.file, p->exe_path, sizeof(p->exe_path));
	mutex_unlock(&p->lock);
	base = base ? base + 1 : e->name;
	n = strnlen(base, sizeof(current()->comm) - 1);
	memcpy(comm, base, n);
	comm[n] = '\0';
}

void exec_close(struct exec *e)
{
	if (!e)
		return;
	image_drop(&e->program);
	image_drop(&e->interpreter);
	for (unsigned i = 0; i < e->owned_count; i++)
		kfree(e->owned[i]);
	kfree(e->argv);
	kfree(e->path);
	kfree(e->name);
	kfree(e);
}

static const char **copy_list(const char *const *list)
{
	size_t n = 0;
	const char **copy;

	while (list[n])
		n++;
	copy = kmalloc((n + 1) * sizeof(*copy));
	if (copy)
		memcpy(copy, list, (n + 1) * sizeof(*copy));
	return copy;
}

/* An executable at a fixed place needs it free, or to become so when the old program goes. */
static int check_place(struct exec *e)
{
	const struct elf_info *info = &e->program.info;
	int ret;

	if (!info->fixed)
		return 0;
	if (info->start < SLOT_LOW_BASE || info->end > SLOT_STUB_DELTA)
		return ELF_ERROR_NOT_PIE;
	ret = mm_take_low_window();
	if (!ret && !mm_will_be_free(info->start, info->end)) {
		struct program *other;

		ret = mm_occupant(info->start, info->end, &other);
		e->low_window_own = ret;
		program_put(other);
	}
	return ret;
}

struct exec *exec_open(const char *path, const char *name, const char *const *argv, const char *const *envp, char *why,
		       size_t why_size, int *error)
{
	struct exec *e = kzalloc(sizeof(*e));
	uint64_t sum;
	int ret = -ENOMEM;

	*error = ret;
	format(why, why_size, "%s: not enough memory to load it (raise the cVM's memory)", path);
	if (!e)
		return NULL;
	why[0] = '\0';
	e->why = why;
	e->why_size = why_size;
	e->path = kstrdup(path);
	e->name = kstrdup(name);
	e->argv = copy_list(argv);
	if (e->path && e->name && e->argv)
		ret = open_program(e);
	if (!ret)
		ret = open_interpreter(e);
	if (!ret)
		ret = stack_check(e->argv, envp, &sum);
	if (!ret)
		ret = check_place(e);
	*error = ret;
	if (!ret)
		return e;
	explain(e, path, ret);
	exec_close(e);
	return NULL;
}

int exec_map(struct exec *e, const char *const *envp, struct exec_start *start)
{
	int ret = map_program(e, envp, start);

	if (!ret)
		set_names(e);
	else
		explain(e, e->name, ret);
	return ret;
}

int exec_errno(int error)
{
	return error > 0 ? -ENOEXEC : error;
}

bool exec_is_remarkable(int error)
{
	return error == -EBUSY || error == -EAGAIN || (error > 0 && error != ELF_ERROR_NOT_ELF && error != ELF_ERROR_TRUNCATED);
}

static int try_executable(const char *path)
{
	int error;
	struct file *f = vfs_open(path, O_RDONLY | O_CLOEXEC, 0, &error);

	if (!f)
		return error;
	error = vfs_check_executable(f);
	file_put(f);
	return error;
}

/* PATH lookup as execvp does it: fills `found`. 0, -ENOENT, or -EACCES if only files that are not executable matched. */
static int find(const char *name, const char *path_variable, char *found, size_t size)
{
	const char *dir = path_variable && *path_variable ? path_variable : DEFAULT_PATH;
	int ret = -ENOENT;

	for (;;) {
		const char *end = strchr(dir, ':');
		size_t n = end ? (size_t)(end - dir) : strlen(dir);
		int length = format(found, size, "%.*s%s%s", (int)n, dir, n ? "/" : "", name);

		if ((size_t)length < size) {
			int error = try_executable(found);

			if (!error)
				return 0;
			if (error == -EACCES)
				ret = error;
		}
		if (!end)
			return ret;
		dir = end + 1;
	}
}

static const char *variable(const char *const *envp, const char *name)
{
	size_t n = strlen(name);

	for (; *envp; envp++)
		if (!strncmp(*envp, name, n) && (*envp)[n] == '=')
			return *envp + n + 1;
	return NULL;
}

/* 0 or an exit status. */
static int find_program(const char *name, const char *const *envp, char *path, char *why, size_t why_size)
{
	const char *path_variable = variable(envp, "PATH");
	int ret = 0;

	if (strchr(name, '/'))
		format(path, PATH_SIZE, "%s", name);
	else
		ret = find(name, path_variable, path, PATH_SIZE);
	if (ret == -EACCES)
		format(why, why_size, "%s: found in the cVM's PATH, but not executable (chmod +x it)", name);
	else if (ret)
		format(why, why_size, "%s: not found in the cVM's PATH (%s)", name, path_variable ? path_variable : "the default one");
	return ret == -EACCES ? STATUS_EXEC : ret ? STATUS_NOT_FOUND : 0;
}

int exec_first(const char *name, const char *const *argv, const char *const *envp, struct exec_start *start, char *why,
	       size_t why_size)
{
	char *path = kmalloc(PATH_SIZE);
	struct exec *e = NULL;
	int status, ret = 0;

	format(why, why_size, "%s: not enough memory to load it (raise the cVM's memory)", name);
	if (!path)
		return STATUS_EXEC;
	status = find_program(name, envp, path, why, why_size);
	if (!status) {
		e = exec_open(path, path, argv, envp, why, why_size, &ret);
		if (e)
			ret = exec_map(e, envp, start);
	}
	exec_close(e);
	kfree(path);
	return status ? status : !ret ? 0 : ret == -ENOENT || ret == -ENOTDIR ? STATUS_NOT_FOUND : STATUS_EXEC;
}
