/*
 * From mappings to hostcalls: what the host must have behind a range. The only file of mm/ that asks the monitor for
 * memory, so the rules about executable memory are in one place:
 *  - writable and executable at once does not exist for the host: it is writable first, faults do the rest (write_exec.c);
 *  - executable pages of a file that nobody changed come from the code cache (translated, with stubs in image windows);
 *  - anything else becomes executable by sealing its present contents (JITs, text relocations), but for pages with forbidden bytes, which
 *    are only read and run out of line (out_of_line.c).
 * Called with mm->lock held.
 */
#include "core/hostcall.h"
#include "core/kheap.h"
#include "core/log.h"
#include "fs/capfs.h"
#include "fs/vfs.h"
#include "mm/vma.h"
#include "thread/thread.h"

#define ACCESS (PROT_READ | PROT_WRITE)

void code_map_put(struct code_map *c)
{
	if (!c || --c->refs)
		return;
	hostcall(HC_mem_release, c->stubs, c->size);
	kfree(c);
}

int backing_release(uint64_t start, uint64_t end)
{
	int ret = (int)hostcall(HC_mem_release, start, end - start);

	capfs_released(start, end);
	return ret;
}

/* The host's handle for a piece of a file mapping and the offset there. */
static int handle_of(struct vma *v, uint64_t start, uint64_t size, uint32_t prot, off_t *offset)
{
	int flags = v->flags & VMA_SHARED ? MAP_SHARED : MAP_PRIVATE;

	*offset = v->offset + (off_t)(start - v->start);
	if (!v->file->ops->map_handle)
		return -ENODEV;
	return v->file->ops->map_handle(v->file, (int)prot, flags, offset, size);
}

/* As few pieces as there can be. What was refused is inaccessible at first. */
int backing_seal(uint64_t start, uint64_t end)
{
	uint64_t size = end - start;

	while (start < end) {
		long ret = hostcall(HC_mem_seal_code, start, size);

		if (ret == -EPERM && size > PAGE_SIZE) {
			ret = hostcall(HC_mem_protect, start, size, ACCESS);
			size = ALIGN_UP(size / 2, PAGE_SIZE);
		} else {
			if (ret == -EPERM)
				ret = hostcall(HC_mem_protect, start, size, PROT_READ);
			start += size;
			size = end - start;
		}
		if (ret < 0)
			return (int)ret;
	}
	return 0;
}

/* A file that the host cannot map: a private copy. Pages beyond its end stay zero. */
static int map_copy(struct vma *v, uint64_t start, uint64_t end, uint32_t prot)
{
	off_t offset = v->offset + (off_t)(start - v->start);
	long ret = hostcall(HC_mem_commit, start, end - start, ACCESS, 0);

	for (uint64_t at = start; ret >= 0 && at < end; at += (uint64_t)ret) {
		ret = file_pread(v->file, (void *)at, end - at, offset + (off_t)(at - start));
		if (ret == 0)
			break;
	}
	if (ret >= 0 && (prot & PROT_EXEC))
		ret = backing_seal(start, end);
	else if (ret >= 0 && prot != ACCESS)
		ret = hostcall(HC_mem_protect, start, end - start, prot & ACCESS);
	if (ret < 0)
		backing_release(start, end);
	return ret < 0 ? (int)ret : 0;
}

static void report_refused(struct vma *v, off_t offset, int error)
{
	char path[256];

	if (error == -EAGAIN && !current()->process->exe_path[0])
		return; /* not the code's fault, and whoever loads the program says so */
	file_path(v->file, path, sizeof(path));
	log_text("mmap: %s: code at offset 0x%lx was refused (error %d)", path, offset, -error);
}

static int map_file(struct vma *v, uint64_t start, uint64_t end, uint32_t prot)
{
	off_t offset;
	int handle;

	if ((v->flags & VMA_SHARED) && v->file->ops->map_at)
		return v->file->ops->map_at(v->file, start, end - start, (int)prot, v->offset + (off_t)(start - v->start));
	handle = handle_of(v, start, end - start, prot, &offset);
	if (handle == -ENOTBLK && !(v->flags & VMA_SHARED))
		return map_copy(v, start, end, prot);
	if (handle < 0)
		return handle == -ENOTBLK ? -ENODEV : handle;
	return (int)hostcall(HC_mem_map_file, start, end - start, prot & ACCESS, v->flags & VMA_SHARED ? HC_MEM_SHARED : 0,
			     handle, offset);
}

long backing_map_image(uint64_t start, uint64_t size, int handle, off_t offset, uint32_t flags)
{
	long ret;

	do
		ret = hostcall(HC_mem_map_code, start, size, handle, offset, flags);
	while (ret == -EINTR); /* a CP_Call that this was part of returned to its caller meanwhile */
	return ret;
}

/* Translated code, as far as the file goes. A segment that ends later (libraries aligned to 2 MiB, whose gap ld.so makes
 * PROT_NONE) has pages of the file there too, which fault with SIGBUS. */
static int map_code(struct vma *v, uint64_t start, uint64_t end)
{
	struct mm *mm = mm_current();
	struct statx st = {0};
	off_t offset, file_offset = v->offset + (off_t)(start - v->start);
	uint64_t size = end - start, left;
	bool stubs = in_image_window(mm, start, size) && !v->code;
	struct code_map *code = NULL;
	int handle = handle_of(v, start, size, PROT_READ | PROT_EXEC, &offset);
	long ret;

	if (handle == -ENOTBLK)
		return map_copy(v, start, end, PROT_READ | PROT_EXEC);
	if (handle < 0)
		return handle;
	if (!file_stat(v->file, &st)) {
		left = (uint64_t)file_offset < st.stx_size ? ALIGN_UP(st.stx_size - (uint64_t)file_offset, PAGE_SIZE) : 0;
		size = MIN(size, left);
	}
	if (size == 0)
		return map_file(v, start, end, PROT_READ);
	if (stubs) {
		code = kmalloc(sizeof(*code));
		if (!code)
			return -ENOMEM;
	}
	ret = backing_map_image(start, size, handle, offset, stubs ? HC_CODE_STUBS : 0);
	if (ret < 0)
		report_refused(v, file_offset, (int)ret);
	if (ret <= 0) {
		kfree(code);
		code = NULL;
	}
	if (ret < 0)
		return (int)ret;
	if (code) {
		*code = (struct code_map){start + SLOT_STUB_DELTA, (uint64_t)ret, 1};
		v->code = code;
	}
	if (start + size == end)
		return 0;
	ret = map_file(v, start + size, end, PROT_READ);
	if (ret)
		backing_release(start, end);
	return (int)ret;
}

int backing_map(struct vma *v, uint64_t start, uint64_t end, uint32_t prot)
{
	long ret;

	out_of_line_end(mm_current(), start, end);
	if (is_wx(prot))
		prot &= ~(uint32_t)PROT_EXEC;
	if (v->file)
		return prot & PROT_EXEC ? map_code(v, start, end) : map_file(v, start, end, prot);
	ret = hostcall(HC_mem_commit, start, end - start, prot & PROT_EXEC ? PROT_READ : prot & ACCESS, v->flags & VMA_SHARED ? HC_MEM_SHARED : 0);
	if (ret >= 0 && (prot & PROT_EXEC)) {
		ret = backing_seal(start, end);
		if (ret < 0)
			backing_release(start, end);
	}
	return ret < 0 ? (int)ret : 0;
}

int backing_protect(struct vma *v, uint64_t start, uint64_t end, uint32_t prot)
{
	out_of_line_end(mm_current(), start, end);
	if (!(prot & PROT_EXEC))
		return (int)hostcall(HC_mem_protect, start, end - start, prot & ACCESS);
	if (is_wx(prot)) /* what is both already stays as its pages are */
		return is_wx(v->prot) ? 0 : (int)hostcall(HC_mem_protect, start, end - start, ACCESS);
	if ((v->prot & PROT_EXEC) && !is_wx(v->prot))
		return 0; /* nothing changes for the host */
	if (v->file && !(v->flags & VMA_DIRTY))
		return map_code(v, start, end);
	long ret = v->prot & PROT_READ ? 0 : hostcall(HC_mem_protect, start, end - start, ACCESS); /* to seal it the monitor reads it */
	return ret < 0 ? (int)ret : backing_seal(start, end);
}
