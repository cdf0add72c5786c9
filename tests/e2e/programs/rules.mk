# Rules whose recipes need no pipes: assembling, linking, generating, one make inside another.
OUT := $(CURDIR)/out
WORD := $(shell echo from the shell)
NAMES := a b c d e f g h
$(info $(WORD))

all: $(OUT)/program $(OUT)/all.txt inner
	@cat $(OUT)/all.txt
	@sha256sum < $(OUT)/program
	@echo "$(words $(NAMES)) names, $$((2 + 3)), level $(MAKELEVEL)"
	-@false
	@rm -r $(OUT)

$(OUT):
	@mkdir -p $@

$(OUT)/%.s: | $(OUT)
	@echo ".globl $*; $*: mov \$$$(words $(wordlist 1,4,$(NAMES))), %eax; ret" > $@

$(OUT)/%.o: $(OUT)/%.s
	@as -o $@ $<

$(OUT)/program: $(NAMES:%=$(OUT)/%.o)
	@ld -e a -o $@ $^

$(OUT)/%.txt: | $(OUT)
	@echo $* > $@
	@cd $(OUT); sha256sum $*.txt > $(OUT)/$*.sum

$(OUT)/all.txt: $(NAMES:%=$(OUT)/%.txt)
	@cat $(NAMES:%=$(OUT)/%.txt) $(NAMES:%=$(OUT)/%.sum) > $@

inner:
	@$(MAKE) --no-print-directory -f $(firstword $(MAKEFILE_LIST)) level

level:
	@echo "level $(MAKELEVEL)"

fails:
	@sh -c 'exit 7'

.PHONY: all inner level fails
.SECONDARY:
