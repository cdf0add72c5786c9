/*
 * Question: mappings of the process are used up (vm.max_map_count): can the holder of a mapped CP_File so make the host refuse to
 * take the mapping away, and keep it behind the revocation?
 * Expect: REFUSED: mappings are not used up, and the revoked one is gone
 * Control: --insecure-no-revoke
 * Native: the share of mappings, and what revocation does when the host refuses
 * Companions: 2
 * Grants: capabilities
 */
#include "cap.h"
#include "pieces.h"

static char g_here;

/* Until the host has no mapping left, or the share ends. */
static uint64_t use_up(const char *name)
{
	uint64_t at = ((uint64_t)&g_here & SLOT_MASK) + (32ull << 30), made = 0;
	char path[64];

	snprintf(path, sizeof path, "/shared/%s", name);
	make_pieces(path);
	long file = hostcall(HC_file_open, granted_directory("symbols"), (uint64_t)name, strlen(name), O_RDONLY, 0, 0);
	for (; made < 20000 && !hostcall(HC_mem_map_code, at, SIZE, (uint64_t)file, PAGE, 0, 0); made++)
		at += SIZE + PAGE;
	/* what is left, one by one */
	for (at = ((uint64_t)&g_here & SLOT_MASK) + (48ull << 30); made < 200000 && !hostcall(HC_mem_commit, at, PAGE, PROT_READ, 0, 0, 0); made++)
		at += 2 * PAGE;
	return made;
}

static void companion(void)
{
	char name[] = "service";

	if (CAP(cap_create, CAP_EXPORT, "service-colluder", 16, 0) > 0) { /* the first */
		while (access("/shared/victim-maps", F_OK))
			usleep(1000);
		use_up("second");
		close(open("/shared/full", O_WRONLY | O_CREAT, 0600));
		owner_until_stop();
	}
	own();
	serve_beside(g_service, owner_handler);
	(void)name;
	owner_until_stop();
}

static void attack(void)
{
	uint64_t at = ((uint64_t)&g_here & SLOT_MASK) + (24ull << 30);
	const unsigned perms = CAP_LOAD | CAP_STORE | CAP_MAP;
	uint32_t service = open_named(CAP_CALL, "service", CAP_USE), shared = open_named(CAP_MEMORY, "shared", perms);
	volatile uint8_t *byte = (void *)(at + PAGE);

	/* three that lie in one mapping of the host's; the last one derived is the first to go, and to be cut out of the middle */
	for (const char *page = "021"; *page; page++) {
		uint64_t offset = (uint64_t)(*page - '0') * PAGE;
		uint32_t part = must("derive", CAP(cap_derive, shared, offset, PAGE, perms));
		if (hostcall(HC_cap_map, part, at + offset, PAGE, PROT_READ | PROT_WRITE, 0, 0) || ((volatile uint8_t *)at)[offset] != OWNED)
			breach("cap_map does not work");
	}
	close(open("/shared/victim-maps", O_WRONLY | O_CREAT, 0600));
	while (access("/shared/full", F_OK))
		usleep(1000);
	uint64_t made = use_up("first");
	call1(service, OWNER_REVOKE);
	call1(service, OWNER_REWRITE);
	if (!guarded(load_byte, (void *)byte).signal)
		breach("behind the revocation the mapping is there, and shows %s (%lu mappings made)",
		       *byte == REWRITTEN ? "what was written since" : "the old contents", made);
	refused("mappings are not used up, and the revoked one is gone");
}
