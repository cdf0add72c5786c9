/*
 * A word counter for other cVMs. A request brings a capability on the caller's text and its size; the answer is the numbers
 * of lines, words and bytes. A request without a capability ends the service.
 */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include <cvm/call.h>
#include <cvm/file.h>

static int g_export;

static void count(void *context, struct cp_request *request)
{
	uint64_t size = request->word[0], lines = 0, words = 0, done = 0;
	char part[4096];
	int space = 1;

	(void)context;
	if (request->caps != 1) {
		cp_close(g_export);
		return;
	}
	while (done < size) {
		ssize_t n = cp_file_pread(request->cap[0], part, sizeof part, done);
		if (n <= 0)
			break;
		for (ssize_t i = 0; i < n; i++) {
			int is_space = isspace((unsigned char)part[i]) != 0;
			lines += part[i] == '\n';
			words += space && !is_space;
			space = is_space;
		}
		done += (uint64_t)n;
	}
	cp_close(request->cap[0]);
	request->word[0] = lines;
	request->word[1] = words;
	request->word[2] = done;
}

int main(void)
{
	g_export = cp_export("count");
	if (g_export < 0) {
		printf("service: cannot export: %s\n", strerror(-g_export));
		return 1;
	}
	return cp_serve(g_export, count, NULL) == -128 /* EKEYREVOKED */ ? 0 : 1;
}
