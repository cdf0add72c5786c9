/*
 * CP_Call: calling a function of another cVM (CAP-VMs, OSDI'22, section 4.3; the mechanism is that of LRPC, Bershad et al.,
 * SOSP'89). The caller's thread itself goes into the callee, on a stack that a thread of the callee lends it, so a call
 * costs two crossings and no switch of threads. Six words go in and six come out; registers carry nothing else.
 *
 * The callee trusts nothing about the caller, and the caller need not trust the callee: whatever happens to it, the call
 * returns, with a deadline if it never would. Errors common to all: cvm/cap.h.
 */
#ifndef CVM_CALL_H
#define CVM_CALL_H

#include "cap.h"

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

#define CP_CALL_WORDS 6
#define CP_CALL_CAPS 4 /* capabilities that one call passes in each direction */

/* ---- the calling side ---- */

/* Imports an export by name: a handle with permissions CP_USE, and CP_GRANT if asked for and granted.
 * -ENOENT: nobody exports it (yet). -EACCES: not granted. */
CP_NODISCARD int cp_call_open(const char *name, unsigned perms);

/*
 * Calls. word[] is replaced by the answer's words if it returns 0, else left alone.
 *	-EAGAIN		no thread serves at the moment (cp_call_ready waits for one)
 *	-EOWNERDEAD	the callee's cVM died of a signal: a fault, or it was killed
 *	-ESHUTDOWN	the callee's cVM exited
 *	-ECANCELED	the callee's thread ended
 *	-EKEYREVOKED	the export is closed, or the capability was revoked
 *	-ELOOP		nested more than eight deep, over all cVMs on the way
 * Calls may nest and recur in any way while threads are there to serve them.
 */
CP_NODISCARD int cp_call(int call, uint64_t word[CP_CALL_WORDS]);

struct cp_message {
	uint64_t word[CP_CALL_WORDS]; /* in, and the answer's out */
	int cap[CP_CALL_CAPS];	      /* in: to be passed, each with CP_GRANT; out: the caller's handles for what came back */
	unsigned caps;		      /* how many; in and out */
	int64_t timeout_ns;	      /* CP_FOREVER or, from now on, how long it may take; looked at every 2 ms or so */
};

/*
 * A call with capabilities and a deadline. Besides cp_call's errors:
 *	-ETIMEDOUT	the time is up; the callee goes on without a caller, and its answer is dropped
 *	-EMFILE		the callee's quota of capabilities is used up
 *	-EINVAL		more than CP_CALL_CAPS
 * On failure nothing was passed, or the callee got it and ended (as the error says).
 */
CP_NODISCARD int cp_call_message(int call, struct cp_message *message);

/* Waits for a serving thread. 0, -ETIMEDOUT, -EINTR. Another caller may be faster. */
CP_NODISCARD int cp_call_ready(int call, int64_t timeout_ns);

/* Tells the export that something happened, without waiting: cp_wait and cp_poll report CP_READABLE there, once for many
 * notifications. Returns 0. -EACCES: no CP_USE. -EBADF: also for a sealed capability. */
CP_NODISCARD int cp_notify(int call);

/* ---- the serving side ---- */

/* Exports a function under a name, which needs a grant to provide it: the handle of the export. Nobody can call it until
 * somebody serves. Closing it ends it for all. -EEXIST: the name is taken. -EACCES: not granted. */
CP_NODISCARD int cp_export(const char *name);

struct cp_request {
	uint64_t word[CP_CALL_WORDS]; /* the caller's; what they are when the handler returns is the answer */
	int cap[CP_CALL_CAPS];	      /* handles for what was passed, now this cVM's own, to be closed */
	unsigned caps;
};

/*
 * One call, on a thread that serves. It runs with the caller's host thread but with this cVM's stack, TLS, signals and
 * rights, and may do whatever an ordinary thread does, calls to others and back included. If it ends its thread, the caller
 * gets -ECANCELED. It must not leave by longjmp or an exception.
 */
typedef void cp_handler_fn(void *context, struct cp_request *request);

/* Within a handler: passes up to CP_CALL_CAPS capabilities with the answer to come; they stay the handler's own too.
 * -EINVAL: the caller takes none (cp_call). -EMFILE: its quota is used up, or four are there already. -EACCES: no CP_GRANT. */
CP_NODISCARD int cp_answer_caps(const int *cap, unsigned count);

/*
 * Serves with the calling thread until the export is closed (-EKEYREVOKED), or an error. It answers one call at a time; at
 * most 64 threads serve one export (-EMFILE).
 */
int cp_serve(int export_, cp_handler_fn *handler, void *context);

/* The same with `threads` new threads (1 to 64). cp_server_stop closes the export and waits until the last of them has
 * returned from its handler, so a handler of that server must not call it. *server is the server, to be stopped once.
 * -EINVAL: threads; -EAGAIN: no more can be made; -ENOMEM. */
struct cp_server;
CP_NODISCARD int cp_server_start(const char *name, unsigned threads, cp_handler_fn *handler, void *context,
				 struct cp_server **server);
CP_NODISCARD int cp_server_export(const struct cp_server *server); /* its handle, for cp_wait and cp_poll */
void cp_server_stop(struct cp_server *server);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
