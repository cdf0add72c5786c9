/*
 * Reads intravisor-libos and bare programs: see libos_image.h. Called by run.c and launch_build.c. The libOS comes with
 * the command, but is treated like any ELF file; the monitor scans the code as it does all other.
 */
#include "cli/libos_image.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "abi/code_image.h"
#include "abi/slot.h"
#include "cli/memfile.h"
#include "cli/message.h"
#include "loader/elf_parse.h"

/* What is wrong with the file, or a null pointer. */
static const char *parse(const char *bytes, uint64_t size, struct elf_info *info)
{
	int error = elf_parse_header(bytes, size, ELF_ALLOW_FIXED, info);

	if (!error && (info->phdr_offset > size || size - info->phdr_offset < (uint64_t)info->phdr_count * ELF_PHDR_SIZE))
		error = ELF_ERROR_TRUNCATED;
	if (!error)
		error = elf_parse_segments(bytes + info->phdr_offset, size - info->phdr_offset, size, info);
	if (error)
		return elf_error_text(error);
	const struct elf_load *text = &info->load[0], *data = &info->load[1];
	if (info->loads != 2 || info->interp_size || !text->exec || text->write || data->exec || !data->write ||
	    text->vaddr != SLOT_LIBOS_TEXT || data->vaddr != SLOT_LIBOS_DATA ||
	    text->memory_size > SLOT_LIBOS_DATA - SLOT_LIBOS_TEXT ||
	    data->memory_size > SLOT_LIBOS_HEAP - SLOT_LIBOS_DATA)
		return "must have one code segment and one data segment where cVMs have them (abi/slot.h)";
	return NULL;
}

/* Header page, code, zeros up to a whole page. */
static int write_text(int fd, int elf, const struct elf_load *code)
{
	struct code_image_header header = {
		.magic = CODE_IMAGE_MAGIC,
		.version = CODE_IMAGE_VERSION,
		.text_size = (code->file_size + CVM_PAGE_SIZE - 1) & ~(CVM_PAGE_SIZE - 1),
	};
	int ret = memfile_write(fd, &header, sizeof(header));

	if (ret == 0 && lseek(fd, CODE_IMAGE_HEADER_SIZE, SEEK_SET) < 0)
		ret = -errno;
	if (ret == 0)
		ret = memfile_copy(fd, elf, code->offset, code->file_size);
	if (ret == 0 && ftruncate(fd, (off_t)(CODE_IMAGE_HEADER_SIZE + header.text_size)) < 0)
		ret = -errno;
	return ret ? ret : memfile_seal(fd);
}

static int make(int elf, const char *bytes, uint64_t size, struct libos_image *image, const char **problem)
{
	struct elf_info info;

	*problem = parse(bytes, size, &info);
	if (*problem)
		return -ENOEXEC;
	image->data_size = info.load[1].file_size;
	image->bss_size = info.load[1].memory_size - info.load[1].file_size;
	image->entry = info.entry;
	image->text_fd = memfile_create("intravisor-image-text");
	image->data_fd = memfile_create("intravisor-image-data");
	int ret = image->text_fd < 0 ? image->text_fd : image->data_fd < 0 ? image->data_fd : 0;
	if (ret == 0)
		ret = write_text(image->text_fd, elf, &info.load[0]);
	if (ret == 0)
		ret = memfile_copy(image->data_fd, elf, info.load[1].offset, info.load[1].file_size);
	if (ret == 0)
		ret = memfile_seal(image->data_fd);
	if (ret == 0)
		return 0;
	*problem = strerror(-ret);
	if (image->text_fd >= 0)
		close(image->text_fd);
	if (image->data_fd >= 0)
		close(image->data_fd);
	return ret;
}

/* 0, or negative errno with what is wrong in *problem. */
static int read_image(const char *path, struct libos_image *image, const char **problem)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	void *bytes = MAP_FAILED;

	if (fd >= 0 && fstat(fd, &st) == 0)
		bytes = S_ISREG(st.st_mode) && st.st_size > 0
				? mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0)
				: (errno = ENOEXEC, MAP_FAILED);
	int ret = bytes == MAP_FAILED ? -errno : 0;
	if (ret) {
		*problem = strerror(-ret);
	} else {
		ret = make(fd, bytes, (uint64_t)st.st_size, image, problem);
		munmap(bytes, (size_t)st.st_size);
	}
	if (fd >= 0)
		close(fd);
	return ret;
}

int libos_image_read(const char *path, struct libos_image *image)
{
	const char *problem;
	int ret = read_image(path, image, &problem);

	if (ret)
		message_error("cannot read the libOS: %s: %s (build or install the Intravisor again)", path, problem);
	return ret;
}

int bare_image_read(const char *path, struct libos_image *image, struct config_error *error)
{
	const char *problem;
	int ret = read_image(path, image, &problem);

	if (ret == -ENOEXEC)
		return config_fail(error, "%.200s is not a bare program: %s (build it with the SDK)", path, problem);
	return ret ? config_fail(error, "cannot read the bare program %.200s: %s (name a file of the host)", path, problem) : 0;
}
