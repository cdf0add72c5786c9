/* Python as a position-independent program: Debian's own is linked at a fixed address, of which there is one. */
int Py_BytesMain(int argc, char **argv);

int main(int argc, char **argv)
{
	return Py_BytesMain(argc, argv);
}
