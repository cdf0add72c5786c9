/*
 * Question: can text that a cVM sends to the command's log forge lines of the command or of another cVM, or send the terminal
 * escape sequences: control bytes, C1 in one or two bytes, broken UTF-8, characters that turn the direction, parts that
 * become whole only with the next message?
 * Expect: REFUSED: 100 messages were only text
 * Control: none: escaping has no option
 * Never: [\x00-\x08\x0b-\x1f\x7f-\x9f\ufffd\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff\U000e0041]|^[^\[]*forged
 * Native: message.c
 */
#include "attack.h"

static int g_messages;

static void send(const char *text, size_t size)
{
	const char kinds[] = { BOOT_LOG_TEXT, BOOT_LOG_CRASH, '\033' };

	for (size_t i = 0; i < sizeof kinds; i++, g_messages++)
		log_message(kinds[i], text, size);
}

#define SEND(text) send(text, sizeof(text) - 1)

static void attack(void)
{
	/* "forged" may only stand behind this cVM's own prefix, in brackets; crash lines say "intravisor: attacker: " */
	SEND("\033[31mred\033[0m");
	SEND("\033]0;title\007");
	SEND("\033]52;c;Y29weQ==\033\\"); /* the clipboard */
	SEND("\033[2J\033[H");
	SEND("\033P+q544e\033\\");
	SEND("\x9b" "31mC1 in one byte");
	SEND("\xc2\x9b" "31mC1 in UTF-8");
	SEND("\xc2\x85next line");
	SEND("a\rb");
	SEND("a\bb\177c\vd\fe");
	SEND("nul \0 inside");
	SEND("\xff\xfe broken");
	SEND("\xc0\x9b" "31m overlong");
	SEND("\xe0\x80\x9b" "31m overlong");
	SEND("\xed\xa0\x80 surrogate");
	SEND("\xf4\x90\x80\x80 beyond Unicode");
	SEND("\xe2\x80\xae right to left");
	SEND("\xe2\x81\xa6 isolate \xe2\x81\xa9");
	SEND("\xef\xbb\xbf mark");
	SEND("\xe2\x80\x8b nothing");
	SEND("\xf3\xa0\x81\x81 tag");
	SEND("\xe2\x80"); /* the first half of a character ... */
	SEND("\xae ... and its end");
	SEND("\033"); /* the same with an escape */
	SEND("[31m");
	SEND("");
	SEND("no newline at the end");
	SEND("\n\n\n");
	SEND("x\r\nintravisor");
	static char longer[2000];
	memset(longer, 'x', sizeof longer);
	memcpy(longer + sizeof longer - 8, "\033[31m\n\n", 7);
	send(longer, sizeof longer);
	for (int i = 0; i < 4; i++) {
		const char *const lines[] = { "\n[victim] a line", "\nintravisor: victim: signal 11", "\nintravisor: the monitor ended", "\nvictim: CHANGED" };
		char text[128];
		/* the word that must not come at a line's start */
		snprintf(text, sizeof text, "%s", lines[i]);
		log_message(BOOT_LOG_TEXT, text, strlen(text));
	}
	log_message(BOOT_LOG_TEXT, "\nforged\n\rforged\n forged", 22);
	g_messages += 10;
	refused("%d messages were only text", g_messages);
}
