/*
 * Question: can a cVM write below a directory that was granted read-only: by opening, also what it has as O_PATH, truncating, chmod
 * through a read-only handle, renaming, linking, removing?
 * Expect: REFUSED: nothing was written
 * Control: none: rights of a grant have no option
 * Native: rights of handles
 */
#include "attack.h"

static void attack(void)
{
	long dir = -1;

	for (uint64_t handle = 3; handle < 64 && dir < 0; handle++) {
		long file = hostcall(HC_file_open, handle, (uint64_t)"read-only-mark", 14, O_RDONLY, 0, 0);
		if (file >= 0)
			dir = (long)handle;
	}
	if (dir < 0)
		breach("the granted directory was not found");
	uint64_t d = (uint64_t)dir, name = (uint64_t)"read-only-mark", target = (uint64_t)"new";
	uint64_t file = (uint64_t)hostcall(HC_file_open, d, name, 14, O_RDONLY, 0, 0);
	uint64_t path = (uint64_t)hostcall(HC_file_open, d, name, 14, O_PATH, 0, 0);
	const long results[] = { hostcall(HC_file_chmod, path, 0777, 0, 0, 0, 0), hostcall(HC_file_chown, path, 1, 1, 0, 0, 0),
				 hostcall(HC_file_utimes, path, 0, 0, 0, 0, 0), hostcall(HC_file_open, d, name, 14, O_RDWR, 0, 0), hostcall(HC_file_open, d, name, 14, O_WRONLY | O_TRUNC, 0, 0),
				 hostcall(HC_file_open, d, name, 14, O_RDONLY | O_TRUNC, 0, 0), hostcall(HC_file_open, d, target, 3, O_CREAT | O_RDWR, 0644, 0),
				 hostcall(HC_file_open, path, 0, 0, O_RDWR, 0, 0), hostcall(HC_file_open, path, 0, 0, O_RDONLY | O_TRUNC, 0, 0),
				 hostcall(HC_file_open, path, 0, 0, O_WRONLY | O_APPEND, 0, 0), hostcall(HC_file_open, path, 0, 0, O_CREAT | O_RDWR, 0644, 0),
				 hostcall(HC_file_open, d, target, 3, O_CREAT | O_RDONLY, 0644, 0),
				 hostcall(HC_file_open, d, (uint64_t)".", 1, 020000000 | O_DIRECTORY | O_RDWR, 0644, 0), hostcall(HC_file_truncate, file, 0, 0, 0, 0, 0),
				 hostcall(HC_file_chmod, file, 0777, 0, 0, 0, 0), hostcall(HC_file_utimes, file, 0, 0, 0, 0, 0),
				 hostcall(HC_file_chown, file, 1, 1, 0, 0, 0), hostcall(HC_file_allocate, file, 0, 0, 4096, 0, 0),
				 hostcall(HC_dir_mkdir, d, target, 3, 0755, 0, 0), hostcall(HC_dir_unlink, d, name, 14, 0, 0, 0),
				 hostcall(HC_dir_rename, d, name, 14, d, target, 3), hostcall(HC_dir_link, file, d, target, 3, 0, 0),
				 hostcall(HC_dir_symlink, name, 14, d, target, 3, 0) };
	for (size_t i = 0; i < sizeof results / sizeof results[0]; i++)
		if (results[i] >= 0)
			breach("operation %zu succeeded", i);
	if (hostcall(HC_file_open, path, 0, 0, O_RDONLY, 0, 0) < 0)
		breach("what may be read was not opened");
	void *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (hostcall(HC_mem_map_file, (uint64_t)page, PAGE, PROT_READ | PROT_WRITE, HC_MEM_SHARED, file, 0) >= 0)
		breach("mapped for writing");
	/* mapped for reading, then made writable */
	if (hostcall(HC_mem_map_file, (uint64_t)page, PAGE, PROT_READ, HC_MEM_SHARED, file, 0) >= 0 &&
	    hostcall(HC_mem_protect, (uint64_t)page, PAGE, PROT_READ | PROT_WRITE, 0, 0, 0) >= 0 && !guarded(store_byte, page).signal)
		breach("a read-only mapping became writable");
	refused("nothing was written");
}
