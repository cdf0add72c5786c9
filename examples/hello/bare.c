/* The smallest bare cVM. */
#include <cvm/bare.h>

int cvm_main(int argc, char **argv)
{
	cvm_print("hello from a bare cVM, %s\n", argc > 1 ? argv[1] : "whoever you are");
	return 0;
}
