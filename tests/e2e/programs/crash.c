/* Writes to an address that is never mapped, from a static function whose name the crash report should show. */
__attribute__((noinline)) static void crash_here(volatile int *address)
{
	*address = 1;
	address[1] = 2;
}

int main(void)
{
	crash_here((int *)0x123456000);
	return 0;
}
