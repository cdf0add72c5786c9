/*
 * Maps ELF images as Linux's binfmt_elf does, for programs and their interpreters (loader/elf_map.h). The files are
 * hostile: loader/elf_parse.c has checked every header before anything here looks at it. Called by loader/exec.c.
 */
#include "loader/elf_map.h"
#include "core/kheap.h"
#include "core/uaccess.h"
#include "fs/vfs.h"
#include "mm/mm.h"

static int read_exactly(struct file *f, void *buf, size_t size, uint64_t offset)
{
	ssize_t n = file_pread(f, buf, size, (off_t)offset);

	if (n < 0)
		return (int)n;
	return (size_t)n == size ? 0 : ELF_ERROR_TRUNCATED;
}

static int read_interpreter(struct image *image)
{
	size_t size = image->info.interp_size;
	int ret;

	image->interpreter = kmalloc(size);
	if (!image->interpreter)
		return -ENOMEM;
	ret = read_exactly(image->file, image->interpreter, size, image->info.interp_offset);
	return ret ? ret : elf_parse_interp(image->interpreter, size);
}

static int read_headers(struct image *image, void *buf)
{
	struct elf_info *info = &image->info;
	struct statx st = {0};
	size_t size;
	ssize_t n = file_pread(image->file, buf, ELF_HEADER_SIZE, 0);
	int ret;

	if (n < 0)
		return (int)n;
	ret = elf_parse_header(buf, (size_t)n, ELF_ALLOW_FIXED, info);
	if (ret)
		return ret;
	ret = file_stat(image->file, &st);
	if (ret)
		return ret;
	size = (size_t)info->phdr_count * ELF_PHDR_SIZE;
	ret = read_exactly(image->file, buf, size, info->phdr_offset);
	if (!ret)
		ret = elf_parse_segments(buf, size, st.stx_size, info);
	if (!ret && info->interp_size)
		ret = read_interpreter(image);
	return ret;
}

int image_read(struct image *image, struct file *f)
{
	void *buf = kmalloc(ELF_PHDRS_MAX * ELF_PHDR_SIZE);
	int ret;

	*image = (struct image){.file = f};
	ret = buf ? read_headers(image, buf) : -ENOMEM;
	kfree(buf);
	if (ret)
		image_drop(image);
	return ret;
}

void image_drop(struct image *image)
{
	if (image->file)
		file_put(image->file);
	kfree(image->interpreter);
	image->file = NULL;
	image->interpreter = NULL;
}

static int protection(const struct elf_load *l)
{
	return (l->read ? PROT_READ : 0) | (l->write ? PROT_WRITE : 0) | (l->exec ? PROT_EXEC : 0);
}

/* File bytes first, then zeroes: the rest of the last file page, and whole pages behind it. */
static int map_segment(struct image *image, const struct elf_load *l)
{
	uint64_t in_page = l->vaddr % PAGE_SIZE;
	uint64_t start = image->bias + l->vaddr - in_page;
	uint64_t file_end = image->bias + l->vaddr + l->file_size;
	uint64_t end = image->bias + l->vaddr + l->memory_size;
	uint64_t mapped = start;
	long ret;

	if (l->file_size) {
		mapped = ALIGN_UP(file_end, PAGE_SIZE);
		ret = mm_map(start, mapped - start, protection(l), MAP_PRIVATE | MAP_FIXED, image->file,
			     (off_t)(l->offset - in_page));
		if (ret < 0)
			return (int)ret;
		if (l->memory_size > l->file_size && l->write) {
			ret = zero_user((void *)file_end, mapped - file_end);
			if (ret)
				return (int)ret;
		}
	}
	if (end <= mapped)
		return 0;
	ret = mm_map(mapped, ALIGN_UP(end, PAGE_SIZE) - mapped, protection(l), MAP_PRIVATE | MAP_FIXED | MAP_ANONYMOUS, NULL,
		     0);
	return ret < 0 ? (int)ret : 0;
}

/* What the place has besides segments. */
static int unmap_gaps(struct image *image)
{
	const struct elf_info *info = &image->info;
	uint64_t at = ALIGN_DOWN(info->start, PAGE_SIZE);
	int ret = 0;

	for (uint32_t i = 0; !ret && i < info->loads; i++) {
		uint64_t start = ALIGN_DOWN(info->load[i].vaddr, PAGE_SIZE);

		if (start > at)
			ret = mm_unmap(image->bias + at, start - at);
		at = ALIGN_UP(info->load[i].vaddr + info->load[i].memory_size, PAGE_SIZE);
	}
	return ret;
}

int image_map(struct image *image)
{
	const struct elf_info *info = &image->info;
	long place;
	int ret = 0;

	if (info->fixed) {
		if (info->start < SLOT_LOW_BASE || info->end > SLOT_STUB_DELTA)
			return ELF_ERROR_NOT_PIE;
		ret = mm_take_low_window();
		place = ret ? ret : (long)info->start;
	} else {
		place = mm_place_image(info->end - info->start, info->align);
	}

	if (place < 0)
		return (int)place;
	image->bias = (uint64_t)place - info->start;
	for (uint32_t i = 0; !ret && i < info->loads; i++)
		ret = map_segment(image, &info->load[i]);
	if (!ret && !info->fixed)
		ret = unmap_gaps(image);
	return ret;
}
