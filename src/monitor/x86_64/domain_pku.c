/*
 * Domains by x86-64 memory protection keys (Intel SDM 4.6.2; pkeys(7)). Key 0 is the monitor's and everybody's default;
 * one key is public: readable by all, writable with PKRU 0 only; every cVM gets one of the rest.
 * In the monitor that is built with NO_PKEYS the WRPKRUs are nops and memory carries no keys: no isolation, for development
 * on machines without the hardware and as the attack tests' control. LAUNCH_INSECURE_NO_PKEYS has to say so too.
 */
#include <linux/mman.h>
#include <cpuid.h>

#include "base/forbidden.h"
#include "host/syscall.h"
#include "monitor/monitor.h"

#define PKRU_BITS(key, bits) ((uint32_t)(bits) << (2 * (key)))
#define PKRU_ACCESS_DISABLE 1u
#define PKRU_WRITE_DISABLE 2u

extern uint8_t gate_wrpkru_in[], gate_wrpkru_out[], enter_wrpkru[], call_wrpkru[], xrstor_insn[];

#ifdef NO_PKEYS
#define WITHOUT_PKEYS LAUNCH_INSECURE_NO_PKEYS
#else
#define WITHOUT_PKEYS 0
#endif

static int32_t g_public_key;
static uint32_t g_pkru_offset; /* of PKRU in a standard-format XSAVE area; 0 without keys */

const char *domain_init(uint32_t flags)
{
	unsigned a, b, c, d;

	if ((flags & LAUNCH_INSECURE_NO_PKEYS) != WITHOUT_PKEYS)
		return "the monitor for runs with protection keys is another than the one for runs without";
	__cpuid_count(0xd, 1, a, b, c, d);
	if (!(a & 4))
		return "this CPU has no XGETBV with ECX=1, which the gates between cVMs need: use a newer one";
	__asm__("xgetbv" : "=a"(a), "=d"(d) : "c"(0));
	if (a & 1u << 19)
		return "APX is enabled: its REX2 prefix makes WRPKRU without the bytes that are looked for: boot with clearcpuid=apx";
	__cpuid_count(0xd, 0, a, b, c, d);
	g_arena->xsave_mask = a & 0xe7; /* x87, SSE, AVX, AVX-512: what a signal frame holds; never PKRU */
	if (flags & LAUNCH_INSECURE_NO_PKEYS)
		return NULL;
	if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || !(c & 1u << 4) /* OSPKE */)
		return "this CPU or kernel has no memory protection keys (CPUID OSPKE is clear): use a machine with PKU";
	__cpuid_count(0xd, 9, a, b, c, d);
	g_pkru_offset = b;
	long key = host(__NR_pkey_alloc, 0, 0);
	if (key <= 0)
		return "pkey_alloc failed: another library of this process holds the keys";
	g_public_key = (int32_t)key;
	return NULL;
}

int domain_create(struct cvm *c)
{
	if (insecure(LAUNCH_INSECURE_NO_PKEYS))
		return 0;
	c->domain = c->domain_libos = (int32_t)host(__NR_pkey_alloc, 0, 0);
	if (c->domain > 0 && c->config->flags & LAUNCH_CVM_ISOLATED)
		c->domain_libos = (int32_t)host(__NR_pkey_alloc, 0, 0);
	if (c->domain <= 0 || c->domain_libos <= 0)
		return -EAGAIN;
	c->domain_program = ~PKRU_BITS(c->domain, PKRU_ACCESS_DISABLE | PKRU_WRITE_DISABLE) &
			    ~PKRU_BITS(g_public_key, PKRU_ACCESS_DISABLE);
	c->domain_register = c->domain_program & ~PKRU_BITS(c->domain_libos, PKRU_ACCESS_DISABLE | PKRU_WRITE_DISABLE);
	return 0;
}

void domain_destroy(struct cvm *c)
{
	if (c->domain_libos > 0 && c->domain_libos != c->domain)
		host(__NR_pkey_free, c->domain_libos);
	if (c->domain > 0)
		host(__NR_pkey_free, c->domain);
	c->domain = c->domain_libos = 0;
}

int domain_assign(const struct cvm *c, uint64_t addr, uint64_t size, int prot)
{
	if (insecure(LAUNCH_INSECURE_NO_PKEYS))
		return (int)host(__NR_mprotect, addr, size, prot);
	return (int)host(__NR_pkey_mprotect, addr, size, prot, is_libos(c, addr) ? c->domain_libos : c->domain);
}

int domain_publish(uint64_t addr, uint64_t size, int prot)
{
	if (insecure(LAUNCH_INSECURE_NO_PKEYS))
		return 0;
	return (int)host(__NR_pkey_mprotect, addr, size, prot, g_public_key);
}

void domain_frame_to_monitor(void *xsave_area)
{
	if (g_pkru_offset)
		*(uint32_t *)((char *)xsave_area + g_pkru_offset) = 0;
}

void domain_vcpu_fill(const struct cvm *c, struct vcpu_page *v, bool program)
{
	v->pkru = program ? c->domain_program : c->domain_register;
}

bool domain_owns_instruction(uint64_t addr)
{
	uint64_t gs = (uint64_t)gs_load;

	return addr == (uint64_t)gate_wrpkru_in || addr == (uint64_t)gate_wrpkru_out || addr == (uint64_t)enter_wrpkru ||
	       addr == (uint64_t)call_wrpkru || addr == (uint64_t)xrstor_insn || (addr >= gs && addr < gs + FORBIDDEN_LENGTH);
}
