/* Roles of slow.yaml: the maker of a CP_File revokes while the reader's copy from it hangs; the other wants capabilities too. */
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cvm/file.h>

#include "check.h"

static void make(const char *path)
{
	close(open(path, O_CREAT | O_WRONLY, 0644));
}

static void wait_for(const char *path)
{
	while (access(path, F_OK))
		pause_ms(10);
}

static void make_and_revoke(void)
{
	int file = cp_file_create("f", 4096);

	TRUE(file > 0);
	wait_for("/shared/asked");
	make("/shared/revoking");
	IS(cp_revoke(file), 0);
}

static void read_to_slow_page(void)
{
	int file = WHEN_THERE(cp_file_open("f", CP_LOAD)), slow = open("/slow/page", O_RDONLY);
	void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, slow, 0);

	TRUE(file > 0 && slow >= 0 && page != MAP_FAILED);
	IS(cp_file_pread(file, page, 4096, 0), 4096);
	/* Its maker has been killed meanwhile, and waited for this copy only. */
	while (cp_file_size(file) >= 0)
		pause_ms(10);
	IS(cp_file_pread(file, page, 4096, 0), -EKEYREVOKED);
}

/* Long enough that the maker is in the midst of it. */
static void use_others(void)
{
	wait_for("/shared/revoking");
	for (int i = 0; i < 100; i++) {
		int file = cp_file_create(NULL, 4096);
		TRUE(file > 0);
		IS(cp_close(file), 0);
		pause_ms(2);
	}
	make("/shared/served");
	wait_for("/shared/end");
}

int main(int argc, char **argv)
{
	const char *role = argc > 1 ? argv[1] : "";

	if (!strcmp(role, "revoke"))
		make_and_revoke();
	else if (!strcmp(role, "read"))
		read_to_slow_page();
	else
		use_others();
	return check_end(role);
}
