/* An ordinary program, which runs on Linux as well as in a cVM. */
#include <stdio.h>

#include <cvm/cap.h>

int main(void)
{
	puts(cp_present() ? "hello from plain Linux" : "hello from a cVM with a libOS");
	return 0;
}
