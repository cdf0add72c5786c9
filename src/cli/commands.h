/*
 * The subcommands. Each gets the arguments behind its own name, ending with a null pointer, and returns the command's
 * exit status.
 */
#ifndef CLI_COMMANDS_H
#define CLI_COMMANDS_H

int command_run(char **arguments);
int command_cache(char **arguments);

#endif
