/* Names of signals, for crash reports. */
#include "signal/internal.h"

const char *signal_name(int sig)
{
	static const char *const names[SIGNAL_COUNT + 1] = {
		[SIGHUP] = "SIGHUP",	   [SIGINT] = "SIGINT",	      [SIGQUIT] = "SIGQUIT",	 [SIGILL] = "SIGILL",
		[SIGTRAP] = "SIGTRAP",	   [SIGABRT] = "SIGABRT",     [SIGBUS] = "SIGBUS",	 [SIGFPE] = "SIGFPE",
		[SIGKILL] = "SIGKILL",	   [SIGUSR1] = "SIGUSR1",     [SIGSEGV] = "SIGSEGV",	 [SIGUSR2] = "SIGUSR2",
		[SIGPIPE] = "SIGPIPE",	   [SIGALRM] = "SIGALRM",     [SIGTERM] = "SIGTERM",	 [SIGSTKFLT] = "SIGSTKFLT",
		[SIGCHLD] = "SIGCHLD",	   [SIGCONT] = "SIGCONT",     [SIGSTOP] = "SIGSTOP",	 [SIGTSTP] = "SIGTSTP",
		[SIGTTIN] = "SIGTTIN",	   [SIGTTOU] = "SIGTTOU",     [SIGURG] = "SIGURG",	 [SIGXCPU] = "SIGXCPU",
		[SIGXFSZ] = "SIGXFSZ",	   [SIGVTALRM] = "SIGVTALRM", [SIGPROF] = "SIGPROF",	 [SIGWINCH] = "SIGWINCH",
		[SIGIO] = "SIGIO",	   [SIGPWR] = "SIGPWR",	      [SIGSYS] = "SIGSYS",
	};

	return sig > 0 && sig <= SIGNAL_COUNT && names[sig] ? names[sig] : "a real-time signal";
}
