/* What the model's driver asks of an agent: word[0] operation, word[1] handle, then arguments; the answer's word[0] is the result,
 * word[1] a sum of the bytes that were read. */
#ifndef MODEL_H
#define MODEL_H

#include <stdint.h>

enum model_op {
	MODEL_CREATE,  /* word[2] size, word[3] name or NAMES for none */
	MODEL_OPEN,    /* word[2] perms, word[3] name; NAMES: the pod's file */
	MODEL_MEMORY,  /* word[2] offset, word[3] length, word[4] perms */
	MODEL_TYPE,
	MODEL_DERIVE,  /* word[2] offset, word[3] length, word[4] perms */
	MODEL_SEAL,    /* word[2] type */
	MODEL_UNSEAL,
	MODEL_REVOKE,
	MODEL_CLOSE,
	MODEL_READ,    /* word[2] offset, word[3] size */
	MODEL_WRITE,   /* word[2] offset, word[3] size, word[4] what */
	MODEL_INFO,    /* result: kind | perms << 8 | sealed << 16 | length << 20 */
	MODEL_CALL,    /* word[2] agent: passes by a call; result: the handle there */
	MODEL_SEND,    /* word[2] agent: passes by a stream */
	MODEL_RECEIVE, /* word[2] agent it came from */
	MODEL_TAKE,    /* from another agent, with a capability */
	MODEL_FILL,    /* the own memory as it was at the start */
	MODEL_END,
	MODEL_OPS
};

#define AGENTS 3
#define NAMES 4
#define BYTES_MAX 256u /* of a file or an agent's memory */

static inline uint8_t model_byte(uint64_t what, uint64_t i)
{
	return (uint8_t)(what * 31 + i * 7 + (what >> 8));
}

static inline uint64_t model_sum(const uint8_t *bytes, uint64_t size)
{
	uint64_t sum = 14695981039346656037u;

	for (uint64_t i = 0; i < size; i++)
		sum = (sum ^ bytes[i]) * 1099511628211u;
	return sum;
}

#endif
