# One build file, GNU make, no configure step.  `make help` lists the targets.
#
#   make                   optimised, with debug info  -> build/moonpost
#   make run               install what is missing, build, see it work
#   make test              install what is missing, build, test everything
#   make MODE=asan test    the same under ASan and UBSan
#
# CFLAGS, CPPFLAGS and LDFLAGS are yours to add to.

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.SECONDARY:
MAKEFLAGS += --no-builtin-rules

MODE    ?= release
BUILD   ?= build
PYTHON  ?= /usr/bin/python3
PREFIX  ?= /usr/local
# All processors, where no -j says otherwise.
PARALLEL = $(if $(filter -j% --jobserver%,$(MAKEFLAGS)),,-j$(shell nproc 2>/dev/null || echo 1))
B       := $(BUILD)/$(MODE)
PROG    := moonpost
VERSION := 0.1.0
PKGS    := lua5.4 lua5.4-cjson libevent libevent_pthreads libevent_openssl \
	openssl sqlite3 yaml-0.1 libpcre2-8 libcurl libqrencode

WARN := -Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes \
	-Wmissing-prototypes -Wold-style-definition -Wpointer-arith \
	-Wwrite-strings -Wcast-qual -Wconversion -Wformat=2 -Wundef \
	-Wswitch-enum -Wvla -Wdouble-promotion
ifneq ($(WERROR),0)
WARN += -Werror
endif

mode_release := -O2 -g -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fPIE
mode_debug   := -Og -g3
mode_asan    := -O1 -g3 -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all
mode_tsan    := -O1 -g3 -fsanitize=thread
mode_cover   := -O0 -g3 --coverage -DMOONPOST_COVERAGE
ifndef mode_$(MODE)
$(error unknown MODE '$(MODE)': release, debug, asan, tsan, cover)
endif

# Asked when first used, so that `make deps` works before the libraries are
# there, and then once, not for every file.
once        = $(eval $1 := $2)$2
pkg_cflags  = $(call once,pkg_cflags,$(patsubst -I%,-isystem%,$(shell pkg-config --cflags $(PKGS))))
my_cppflags = -Isrc -I$(B)/gen -D_GNU_SOURCE -DMOONPOST_VERSION='"$(VERSION)"' $(pkg_cflags)
my_cflags   = -std=c17 $(mode_$(MODE)) $(WARN) -pthread -MMD -MP
my_ldflags  = -pthread $(filter -fsanitize% --coverage,$(mode_$(MODE)))
my_libs     = $(call once,my_libs,$(shell pkg-config --libs $(PKGS)) -lm)

# ---- what is built ---------------------------------------------------------
SRC     := $(sort $(wildcard src/*/*.c))
LIBSRC  := $(filter-out src/cli/main.c,$(SRC))
LIB     := $(B)/libmoonpost.a
UNIT    := $(patsubst tests/unit/%.c,$(B)/tests/unit/%,$(sort $(wildcard tests/unit/test_*.c)))
FUZZ    := $(patsubst tests/fuzz/fuzz_%.c,%,$(sort $(wildcard tests/fuzz/fuzz_*.c)))
REPLAY  := $(FUZZ:%=$(B)/tests/fuzz/replay_%)
CFILES  := $(SRC) $(wildcard src/*/*.h tests/*/*.c tests/*/*.h)

# Files that the binary carries: each becomes a C array in the build folder.
META    := $(filter-out lua/meta/payloads.d.lua,$(sort $(wildcard lua/meta/*.d.lua)))
EMBED   := $(sort $(wildcard src/catalog/*.yml src/schema/*.json src/app/*.html lua/moonpost/*.lua lua/new/*) $(META))
EMBED_C := $(EMBED:%=$(B)/gen/%.c) $(B)/gen/lua_meta.c

.PHONY: all
all: $(BUILD)/$(PROG) ## build the program (build/moonpost)

$(BUILD)/$(PROG): $(B)/$(PROG) FORCE
	@cmp -s $< $@ || { cp $< $@.tmp && mv $@.tmp $@; }
.PHONY: FORCE
FORCE:

$(B)/$(PROG): $(B)/src/cli/main.o $(LIB)
	@echo "  LINK  $@"
	@$(CC) $(my_ldflags) $(LDFLAGS) -o $@ $^ $(my_libs)
$(LIB): $(LIBSRC:%.c=$(B)/%.o) $(EMBED_C:%.c=%.o)
	@rm -f $@
	@$(AR) rcs $@ $^
$(B)/%.o: %.c Makefile | deps-build
	@mkdir -p $(@D)
	@echo "  CC    $<"
	@$(CC) $(my_cppflags) $(CPPFLAGS) $(my_cflags) $(CFLAGS) -c -o $@ $<
$(B)/gen/%.c: % .ci/embed
	@mkdir -p $(@D)
	@.ci/embed $< > $@
$(B)/gen/lua_meta.c: $(META) .ci/embed-list
	@mkdir -p $(@D)
	@.ci/embed-list embedded_lua_meta $(META) > $@
$(B)/gen/%.o: $(B)/gen/%.c
	@$(CC) $(my_cppflags) $(CPPFLAGS) $(my_cflags) $(CFLAGS) -c -o $@ $<

# Criterion's macros are not clean under the strictest warnings.
test_cflags = -std=c17 $(filter-out -O2 -D_FORTIFY_SOURCE=2,$(mode_$(MODE))) -Wall -Wextra -Werror -pthread -MMD -MP
$(B)/tests/%.o: tests/%.c Makefile | deps-test
	@mkdir -p $(@D)
	@echo "  CC    $<"
	@$(CC) $(my_cppflags) -Itests $(CPPFLAGS) $(test_cflags) $(CFLAGS) -c -o $@ $<
$(B)/tests/unit/%: $(B)/tests/unit/%.o $(LIB)
	@$(CC) $(my_ldflags) $(LDFLAGS) -o $@ $^ $(my_libs) -lcriterion
$(B)/tests/fuzz/replay_%: $(B)/tests/fuzz/fuzz_%.o $(B)/tests/fuzz/replay.o $(LIB)
	@$(CC) $(my_ldflags) $(LDFLAGS) -o $@ $^ $(my_libs)
$(B)/tests/bench/%: $(B)/tests/bench/%.o $(LIB)
	@$(CC) $(my_ldflags) $(LDFLAGS) -o $@ $(filter %.o,$^) $(LIB) $(my_libs) $(peer_libs)

# ---- dependencies ----------------------------------------------------------
.PHONY: deps deps-build deps-test deps-bench
deps: deps-test ## install what is missing (apt, sudo where needed)
deps-build:
	@.ci/deps build
deps-test:
	@.ci/deps test
deps-bench:
	@.ci/deps bench

# ---- run and test ----------------------------------------------------------
.PHONY: run test check check-static check-unit check-fuzz check-e2e
run: deps-build ## build, start in dev mode on scripts/, send a sample of each channel
	@$(MAKE) $(PARALLEL) --no-print-directory -s all
	@.ci/demo $(BUILD)/$(PROG)

test: deps ## everything; the commit gate.  Ends with "N passed, N failed"
	@$(MAKE) $(PARALLEL) --no-print-directory MODE=$(MODE) build-tests
	@BUILD=$(BUILD) MODE=$(MODE) PYTHON=$(PYTHON) tests/run static unit fuzz lua e2e
check: deps ## the part of it that takes under a minute
	@$(MAKE) $(PARALLEL) --no-print-directory MODE=$(MODE) build-tests
	@BUILD=$(BUILD) MODE=$(MODE) PYTHON=$(PYTHON) tests/run static unit fuzz
.PHONY: build-tests
build-tests: all $(UNIT) $(REPLAY)
check-static check-unit check-fuzz check-lua check-e2e: check-%: deps build-tests ## one part of it
	@BUILD=$(BUILD) MODE=$(MODE) PYTHON=$(PYTHON) tests/run $*

.PHONY: fuzz
fuzz: deps $(EMBED_C) ## make fuzz T=json SECONDS=60 (needs clang)
	@mkdir -p $(BUILD)/fuzz/$(T).corpus tests/fuzz/corpus/$(T)
	clang -std=c17 -g -O1 -fsanitize=fuzzer,address,undefined $(my_cppflags) \
	    -o $(BUILD)/fuzz/$(T).bin tests/fuzz/fuzz_$(T).c $(LIBSRC) $(EMBED_C) $(my_libs)
	$(BUILD)/fuzz/$(T).bin -max_total_time=$(or $(SECONDS),60) \
	    -artifact_prefix=$(BUILD)/fuzz/ $(BUILD)/fuzz/$(T).corpus tests/fuzz/corpus/$(T)

# ---- speed -----------------------------------------------------------------
MICRO := $(patsubst tests/bench/%.c,$(B)/tests/bench/%,$(sort $(wildcard tests/bench/bench_*.c)))
PEER_JSON := $(B)/tests/bench/peers/json.o $(B)/tests/bench/peers/json_c.o
BODIES := $(BUILD)/bench-bodies
.PHONY: bench bench-micro
bench: all $(B)/tests/bench/peers/evhttp $(B)/tests/bench/bench_limits ## against other systems; installs them (BENCH_SECONDS, BENCH_ROUNDS)
	@BUILD=$(BUILD) $(PYTHON) tests/bench/bench.py
bench-micro: $(MICRO) ## parse, schema, Lua tables, HMAC, store, beside libraries that it installs (BENCH_ROUNDS, BENCH_MS)
	@mkdir -p $(BODIES) && $(PYTHON) tests/bench/bodies.py $(BODIES)
	@$(B)/tests/bench/bench_json $(BODIES)/error.jsonl $(BODIES)/issue.jsonl
	@$(B)/tests/bench/bench_json
	@$(B)/tests/bench/bench_schema $(BODIES)/error.jsonl $(BODIES)/event_alert*.jsonl $(BODIES)/issue.jsonl
	@$(B)/tests/bench/bench_schema
	@$(B)/tests/bench/bench_lua $(BODIES)/error.jsonl $(BODIES)/issue.jsonl
	@$(B)/tests/bench/bench_limits
	@d=$$(mktemp -d $(BUILD)/bench-store-XXXXXX) && $(B)/tests/bench/bench_store $$d; rc=$$?; rm -rf "$$d"; exit $$rc
$(MICRO): $(B)/tests/bench/measure.o
$(B)/tests/bench/bench_json: $(PEER_JSON)
$(B)/tests/bench/bench_json: peer_libs = -lcjson -ljansson -ljson-c
$(PEER_JSON): | deps-bench

.PHONY: soak bench-store bench-scale
soak: all ## 500 deliveries a second beside scripts that fail, sleep and loop (SECONDS=60)
	@BUILD=$(BUILD) $(PYTHON) tests/soak/soak.py --seconds $(or $(SECONDS),60)
bench-scale: all ## what 10,000 handlers that sleep, and 2,000 requests that wait, cost one worker
	@BUILD=$(BUILD) $(PYTHON) tests/bench/scale.py
bench-store: $(B)/tests/bench/million ## a store with a million deliveries beside one with a thousand
	@$< 1000000 $(BUILD)

# ---- habits ----------------------------------------------------------------
.PHONY: format lint docs install dist clean help
format: ## rewrite with clang-format
	clang-format -i $(CFILES)
lint: ## clang-tidy and cppcheck
	clang-tidy --quiet $(SRC) -- -std=c17 $(my_cppflags)
	cppcheck --quiet --std=c11 --enable=warning,performance,portability \
	    --library=bsd,posix --inline-suppr --error-exitcode=1 --suppress=missingIncludeSystem \
	    -Isrc src
docs: all ## write what is made from the tables into docs/
	$(BUILD)/$(PROG) manual man > docs/moonpost.1
	$(BUILD)/$(PROG) manual options > docs/options.md
	$(BUILD)/$(PROG) types --out lua/meta > /dev/null
install: all ## DESTDIR and PREFIX are honoured
	install -d "$(DESTDIR)$(PREFIX)/bin" "$(DESTDIR)$(PREFIX)/share/man/man1"
	install -m 755 $(BUILD)/$(PROG) "$(DESTDIR)$(PREFIX)/bin/$(PROG)"
	install -m 644 docs/moonpost.1 "$(DESTDIR)$(PREFIX)/share/man/man1/"
dist: ## a source archive
	git archive --prefix=moonpost-$(VERSION)/ -o moonpost-$(VERSION).tar.gz HEAD
clean: ## remove build/
	rm -rf $(BUILD)
help: ## this list
	@awk -F':.*## ' '/^[a-z-]+( [a-z-]+)*:.*## /{printf "%-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

-include $(shell find $(B) -name '*.d' 2>/dev/null)
