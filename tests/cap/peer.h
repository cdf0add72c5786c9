/* What api asks of peer. */
#ifndef PEER_H
#define PEER_H

enum peer_op {
	PEER_ADD,     /* each word plus its place, the rest unchanged */
	PEER_READ,    /* word[1] bytes at word[2] of cap[0]: result, then up to 32 bytes in word[1..4] */
	PEER_WRITE,   /* the text in word[3..4] (word[1] bytes) at word[2] of cap[0]: result */
	PEER_KEEP,    /* keeps cap[0] for what follows */
	PEER_READ_KEPT, /* as PEER_READ of what was kept */
	PEER_WHOSE,   /* cp_info's peer of cap[0] */
	PEER_GIVE,    /* a new type and a sealed reference: two capabilities in the answer */
	PEER_UNSEAL,  /* cap[0] is a sealed reference that came back: 1 if it is ours */
	PEER_SLEEP,   /* until PEER_RELEASE has a word[1] at least as large */
	PEER_SPIN,    /* the same, in a loop */
	PEER_RELEASE,
	PEER_THREAD_EXIT,
	PEER_BACK,    /* calls api/back with word[1] */
	PEER_DEEPER,  /* calls itself until it cannot: the error and how often */
	PEER_FILL,    /* takes capabilities and closes none */
	PEER_EMPTY,   /* closes them */
	PEER_CLOSE,   /* closes the export: ends after the answer */
};

#define PEER_THREADS 12

#endif
