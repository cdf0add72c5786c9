/*
 * The smallest program: output, arguments and exit status, in every way a program can be linked.
 * Build: gcc static musl musl-static
 * Args: one "two words" ""
 */
#include <stdio.h>

int main(int argc, char **argv)
{
	printf("hello from a program with %d arguments\n", argc - 1);
	for (int i = 1; i < argc; i++)
		printf("%d: [%s]\n", i, argv[i]);
	return 42;
}
