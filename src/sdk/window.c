/*
 * CP_Files that are copied from or to again and again are mapped: then a copy takes no gate. The monitor unmaps them when their
 * capability is closed or revoked, perhaps in the middle of a copy: that faults and is made again through the gate, which knows
 * why. So the addresses of a window are never used for anything else, and one that is gone is merely not found any more.
 */
#include "abi/slot.h"
#include "base/copy.h"
#include "sdk/window.h"

#define PAGE_USES 16	       /* uses for each page of a file before it is mapped: about what the first touch of a page costs */
#define WINDOWS_MAX 1024u
#define ADDRESSES (8ull << 30) /* for all windows, of the slot's 64 GiB */

enum { READ = 1, WRITE = 2 }; /* PROT_* */

struct sdk_file_use g_sdk_file_use[CAPS_MAX];

static struct {
	struct sdk_lock lock;
	char *addresses; /* reserved by the first window */
	uint64_t used;
	uint32_t count;
	struct sdk_window window[WINDOWS_MAX];
} g_windows;

static struct sdk_file_use *use_of(int file)
{
	return &g_sdk_file_use[(uint32_t)file % CAPS_MAX];
}

/* With the lock. */
static bool ready(void)
{
	if (!g_windows.addresses && g_sdk_present && !platform_copies_may_fault()) {
		copy_init();
		g_windows.addresses = platform_reserve(ADDRESSES);
	}
	return g_windows.addresses;
}

/* Writable if the capability reaches all of the file: then there is a page behind it that says who heeds its version. */
static void map(struct sdk_file_use *u, int file, uint64_t length)
{
	struct sdk_window *w = &g_windows.window[g_windows.count];
	uint64_t pages = CAP_HEED(length), whole = pages + CVM_PAGE_SIZE;

	if (g_windows.count == WINDOWS_MAX || !ready() || whole > ADDRESSES - g_windows.used)
		return;
	char *at = g_windows.addresses + g_windows.used;
	bool writable = !gate(HC_cap_map, file, at, whole, READ | WRITE, 0);
	if (!writable && gate(HC_cap_map, file, at, pages, READ, 0))
		return;
	*w = (struct sdk_window){ .file = file, .at = at, .size = length, .heed = writable ? (uint32_t *)(at + pages) : NULL };
	g_windows.used += whole;
	g_windows.count++;
	__atomic_store_n(&u->window, w, __ATOMIC_RELEASE);
}

void sdk_file_used(int file)
{
	struct sdk_file_use *u = use_of(file);
	uint32_t uses = __atomic_load_n(&u->file, __ATOMIC_RELAXED) == file ? __atomic_load_n(&u->uses, __ATOMIC_RELAXED) + 1 : 1;

	__atomic_store_n(&u->file, file, __ATOMIC_RELAXED);
	__atomic_store_n(&u->uses, uses, __ATOMIC_RELAXED);
	if (uses < PAGE_USES || uses & (uses - 1)) /* looks whenever they have doubled */
		return;
	struct cap_info info;
	if (gate(HC_cap_info, file, &info) || !(info.perms & CAP_MAP) || uses / PAGE_USES < CAP_HEED(info.length) / CVM_PAGE_SIZE)
		return;
	sdk_lock_take(&g_windows.lock);
	if (!u->window || u->window->file != file)
		map(u, file, info.length);
	sdk_lock_give(&g_windows.lock);
}

void sdk_file_unused(int file, bool open)
{
	struct sdk_file_use *u = use_of(file);

	if (!__atomic_load_n(&u->window, __ATOMIC_RELAXED))
		return;
	sdk_lock_take(&g_windows.lock);
	const struct sdk_window *w = u->window;
	if (w && w->file == file) {
		__atomic_store_n(&u->window, NULL, __ATOMIC_RELEASE);
		if (open)
			platform_vacate(w->at, CAP_HEED(w->size) + (w->heed ? CVM_PAGE_SIZE : 0));
	}
	sdk_lock_give(&g_windows.lock);
}
