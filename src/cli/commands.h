/*
 * The subcommands. Each gets the arguments behind its own name, ending with a null pointer, and returns the command's
 * exit status.
 */
#ifndef CLI_COMMANDS_H
#define CLI_COMMANDS_H

int command_run(char **arguments);
int command_cache(char **arguments);
int command_ps(char **arguments);
int command_stats(char **arguments);
int command_logs(char **arguments);
int command_kill(char **arguments);
int command_stop(char **arguments);
int command_start(char **arguments);
int command_restart(char **arguments);
int command_exec(char **arguments);

#endif
