/*
 * A domain: the isolation mechanism behind one small interface. Today's only implementation is
 * x86_64/domain_pku.c (memory protection keys); nothing outside that folder knows what a PKRU is. Entering and leaving a
 * domain are the gates of the architecture (cvm_enter, gate_enter); copying is user_copy.
 */
#ifndef MONITOR_DOMAIN_H
#define MONITOR_DOMAIN_H

#include <stdbool.h>
#include <stdint.h>

struct cvm;
struct vcpu_page;

/* Finds out what the machine has, prepares public read-only memory. NULL, or why it cannot be used and the remedy. */
nodiscard const char *domain_init(uint32_t insecure);
/* Gives the cVM a domain of its own (its key, and the register value its threads run with); its libOS another, if isolated. */
int domain_create(struct cvm *c);
void domain_destroy(struct cvm *c);
/* The part of a thread's vCPU page that the mechanism's gates read. */
void domain_vcpu_fill(const struct cvm *c, struct vcpu_page *v, bool program);
/* Makes [addr, addr+size) accessible with `prot` (PROT_*) in the cVM's domain and no other; addr says whether its libOS's. */
int domain_assign(const struct cvm *c, uint64_t addr, uint64_t size, int prot);
/* Makes memory readable by every domain, writable by the monitor alone. */
int domain_publish(uint64_t addr, uint64_t size, int prot);
/* Rewrites a signal frame's domain register so that returning from the handler runs as the monitor. */
void domain_frame_to_monitor(void *xsave_area);

/* Is this one of the privileged instructions that the gates are made of? */
bool domain_owns_instruction(uint64_t addr);

#endif
