/*
 * Random calls of System V IPC of syscalls_guest.c, which includes this; none waits. Identifiers are not said: a few slots hold them.
 */
#ifndef TESTS_FUZZ_SYSCALLS_IPC_H
#define TESTS_FUZZ_SYSCALLS_IPC_H

#include <sched.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>

#define IPC_SLOTS 3u
#define SHM_PAGES 4u  /* of a segment, at most */
#define SHM_PLACES 6u /* where they are attached */

enum { IPC_SHM, IPC_SEM, IPC_MSG };
static int g_ipc[3][IPC_SLOTS]; /* identifiers */
static uint8_t *g_shm;
static int g_shm_at[SHM_PLACES]; /* 0, or what is attached there: 1 read-only, 2 writable */
static size_t g_shm_size[SHM_PLACES];

static void *place_of(unsigned n)
{
	return g_shm + n * SHM_PAGES * PAGE;
}

static void shm_hide(void *at, size_t size)
{
	if (mmap(at, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) == MAP_FAILED)
		_exit(8);
}

/* A namespace of its own where that is allowed, so that natively nobody else's are seen. */
static void ipc_prepare(void)
{
	(void)!unshare(CLONE_NEWIPC);
	memset(g_ipc, 0xff, sizeof g_ipc);
	g_shm = mmap(NULL, SHM_PLACES * SHM_PAGES * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (g_shm == MAP_FAILED)
		_exit(8);
}

static void ipc_end(void)
{
	for (unsigned i = 0; i < IPC_SLOTS; i++) {
		shmctl(g_ipc[IPC_SHM][i], IPC_RMID, NULL);
		semctl(g_ipc[IPC_SEM][i], 0, IPC_RMID);
		msgctl(g_ipc[IPC_MSG][i], IPC_RMID, NULL);
	}
}

static void ipc_get(void)
{
	static const char *const names[] = { "shmget", "semget", "msgget" };
	unsigned kind = below(3), slot = below(IPC_SLOTS), which = below(4);
	key_t key = which ? (key_t)(0x49000000u + ((unsigned)g_first << 3) + which) : IPC_PRIVATE;
	int flags = (int)ONE_OF(0, IPC_CREAT, IPC_CREAT, IPC_CREAT | IPC_EXCL) | (int)ONE_OF(0600, 0644, 0777);
	long size = kind == IPC_SHM ? ONE_OF(0, 1, 4096, 9000, 16384, -1) : ONE_OF(0, 1, 2, 5, -1, 40000);
	int *to = &g_ipc[kind][slot], id;

	if (*to >= 0 && (key == IPC_PRIVATE || (flags & IPC_CREAT))) /* what it makes would be lost */
		return;
	say("%s slot %u key %u %ld %o", names[kind], slot, which, size, flags);
	id = kind == IPC_SHM ? shmget(key, (size_t)size, flags) : kind == IPC_SEM ? semget(key, (int)size, flags) : msgget(key, flags);
	if (result(id < 0 ? id : 0))
		return;
	for (unsigned i = 0; i < IPC_SLOTS; i++)
		if (g_ipc[kind][i] == id)
			say(" as slot %u", i);
	if (*to < 0)
		*to = id;
}

static void ipc_control(void)
{
	unsigned kind = below(3), slot = below(IPC_SLOTS);
	int id = g_ipc[kind][slot], cmd = (int)ONE_OF(IPC_STAT, IPC_STAT, IPC_STAT, IPC_SET, IPC_RMID, 77, SHM_LOCK), mode = (int)ONE_OF(0600, 0666, 07770);
	struct shmid_ds m;
	struct semid_ds s;
	struct msqid_ds q;
	bool nowhere = rarely(20);
	long ret;

	memset(&m, 0, sizeof m), memset(&s, 0, sizeof s), memset(&q, 0, sizeof q);
	if (cmd == SHM_LOCK && kind != IPC_SHM) /* means something else */
		cmd = 99;
	m.shm_perm.mode = s.sem_perm.mode = q.msg_perm.mode = (unsigned short)mode;
	m.shm_perm.uid = s.sem_perm.uid = q.msg_perm.uid = geteuid();
	m.shm_perm.gid = s.sem_perm.gid = q.msg_perm.gid = getegid();
	q.msg_qbytes = (unsigned long)ONE_OF(16384, 16384, 100, 0);
	say("control %u slot %u %d %o %lu%s", kind, slot, cmd, mode, (unsigned long)q.msg_qbytes, nowhere ? " nowhere" : "");
	ret = kind == IPC_SHM ? shmctl(id, cmd, nowhere ? (void *)g_guard : &m) :
	      kind == IPC_SEM ? semctl(id, 0, cmd, nowhere ? (void *)g_guard : &s) : msgctl(id, cmd, nowhere ? (void *)g_guard : &q);
	result(ret);
	if (cmd == IPC_RMID && !ret)
		g_ipc[kind][slot] = -1;
	if (ret || nowhere || cmd != IPC_STAT)
		return;
	if (kind == IPC_SHM)
		say(" mode %o size %zu attached %lu by %d %d times %d %d", m.shm_perm.mode, m.shm_segsz, (unsigned long)m.shm_nattch,
		    m.shm_cpid == getpid(), m.shm_lpid == getpid(), m.shm_atime != 0, m.shm_dtime != 0);
	else if (kind == IPC_SEM)
		say(" mode %o count %lu time %d", s.sem_perm.mode, s.sem_nsems, s.sem_otime != 0);
	else
		say(" mode %o %lu of %lu %lu by %d %d times %d %d", q.msg_perm.mode, q.msg_qnum, q.__msg_cbytes, q.msg_qbytes,
		    q.msg_lspid == getpid(), q.msg_lrpid == getpid(), q.msg_stime != 0, q.msg_rtime != 0);
}

static void ipc_attach(void)
{
	unsigned n = below(SHM_PLACES), slot = below(IPC_SLOTS);
	int id = g_ipc[IPC_SHM][slot], flags = (int)ONE_OF(0, 0, SHM_RDONLY) | (int)ONE_OF(SHM_REMAP, SHM_REMAP, SHM_REMAP, 0) | (int)ONE_OF(0, SHM_RND);
	uint8_t *at = place_of(n);
	long off = ONE_OF(0, 0, 0, 1, 4096);
	struct shmid_ds ds;

	if (g_is_child) /* what its parent attached stays where it is: CAVEATS.md */
		return;
	if (g_shm_at[n] || (off == 4096)) {
		say("shmdt %u +%ld", n, off);
		if (result(shmdt(at + off)))
			return;
		shm_hide(at, SHM_PAGES * PAGE);
		g_shm_at[n] = 0;
		return;
	}
	say("shmat slot %u at %u +%ld %o", slot, n, off, flags);
	if (result(shmat(id, at + off, flags) == (void *)-1 ? -1 : 0))
		return;
	if (shmctl(id, IPC_STAT, &ds))
		_exit(8);
	g_shm_at[n] = flags & SHM_RDONLY ? 1 : 2;
	g_shm_size[n] = (ds.shm_segsz + PAGE - 1) & ~(size_t)(PAGE - 1);
}

static void ipc_look(void)
{
	unsigned n = below(SHM_PLACES);
	uint8_t *at = place_of(n);

	if (!g_shm_at[n])
		return;
	if (g_shm_at[n] == 2 && rarely(2))
		at[below((unsigned)g_shm_size[n])] = (uint8_t)next();
	say("look at %u #%x", n, hash(at, g_shm_size[n]));
}

static void ipc_semop(void)
{
	int id = g_ipc[IPC_SEM][below(IPC_SLOTS)];
	struct timespec none = { rarely(10) ? -1 : 0, 0 };
	unsigned count = rarely(20) ? 501 * below(2) : 1 + below(4);
	static struct sembuf ops[501];

	say("semop %u", count);
	for (unsigned i = 0; i < count && i < 4; i++) {
		ops[i] = (struct sembuf){ (unsigned short)below(rarely(10) ? 6 : 2), (short)ONE_OF(1, 2, -1, -1, 0, -3, 30000), (short)ONE_OF(0, 0, SEM_UNDO, IPC_NOWAIT) };
		say(" %d:%d:%x", ops[i].sem_num, ops[i].sem_op, (unsigned)ops[i].sem_flg);
	}
	result(semtimedop(id, rarely(30) ? (void *)g_guard : ops, count, &none));
}

static void ipc_semctl(void)
{
	unsigned short values[6] = { (unsigned short)below(9), (unsigned short)below(9), (unsigned short)ONE_OF(0, 40000), 1, 2, 3 };
	int id = g_ipc[IPC_SEM][below(IPC_SLOTS)], number = (int)below(rarely(5) ? 6 : 2) - rarely(20);
	int cmd = (int)ONE_OF(GETVAL, GETVAL, GETALL, GETALL, SETALL, SETVAL, SETVAL, GETPID, GETNCNT, GETZCNT);
	long value = ONE_OF(0, 3, 32767, 32768, -1), ret;

	say("semctl %d %d", number, cmd);
	if (cmd == SETALL)
		say(" %d %d %d", values[0], values[1], values[2]);
	if (cmd == SETVAL)
		say(" %ld", value);
	ret = cmd == SETVAL ? semctl(id, number, cmd, (int)value) : semctl(id, number, cmd, rarely(20) ? (void *)g_guard : values);
	result(cmd == GETPID && ret > 0 ? ret == getpid() : ret);
	if (cmd == GETALL && !ret)
		say(" %d %d %d %d %d", values[0], values[1], values[2], values[3], values[4]);
}

static void ipc_message(void)
{
	static struct {
		long type;
		uint8_t bytes[9000];
	} m;
	int id = g_ipc[IPC_MSG][below(IPC_SLOTS)];
	size_t size = (size_t)ONE_OF(0, 1, 8, 90, 5000, 8192, 8193, -1);
	void *at = rarely(30) ? (void *)g_guard : &m;
	long ret;

	if (rarely(2)) {
		fill(size);
		m.type = ONE_OF(1, 1, 2, 3, 4, 0, -1);
		memcpy(m.bytes, g_buffer, sizeof m.bytes);
		say("msgsnd %ld %zu", m.type, size);
		result(msgsnd(id, at, size, IPC_NOWAIT));
	} else {
		long type = ONE_OF(0, 0, 1, 2, -2, -4, 7, (long)(1ul << 63));
		int flags = IPC_NOWAIT | (int)ONE_OF(0, 0, 040000 /* MSG_COPY */, MSG_NOERROR, MSG_EXCEPT, 040000 | MSG_EXCEPT);
		if (flags & 040000)
			at = &m; /* Linux would read there first */
		memset(&m, 0x33, sizeof m);
		say("msgrcv %ld %zu %o", type, size, flags);
		ret = result(msgrcv(id, at, size, type, flags));
		if (ret >= 0)
			say(" type %ld #%x", m.type, hash(m.bytes, sizeof m.bytes));
	}
}

#endif
