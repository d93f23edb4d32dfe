#include <stdint.h>

#include <lauxlib.h>
#include <lua.h>

#include "base/err.h"
#include "json/jdoc.h"

#include "script/convert.h"
#include "script/hold.h"
#include "script/vm_internal.h"

/* What is kept of the parser's memory between calls, in tape values. */
#define TAPE_KEEP 65536

int
hold_add(struct vm *vm, size_t bytes)
{
	if (bytes > hold_room(vm)) {
		vm->mem_refused = 1;
		return -1;
	}
	vm->mem_held += bytes;
	if (vm->mem_used + vm->mem_held > vm->mem_peak)
		vm_set_peak(vm, vm->mem_used + vm->mem_held);
	return 0;
}

void
hold_drop(struct vm *vm, size_t bytes)
{
	vm->mem_held -= bytes;
}

size_t
hold_room(const struct vm *vm)
{
	size_t used = vm->mem_used + vm->mem_held;

	if (vm->limits.mem_bytes == 0)
		return SIZE_MAX / 4;
	return used < vm->limits.mem_bytes ? vm->limits.mem_bytes - used : 0;
}

int
hold_refuse(lua_State *L)
{
	vm_of(L)->mem_refused = 1;
	/* Lua's own words, by which vm.c knows it again. */
	return luaL_error(L, "not enough memory");
}

void
hold_check(lua_State *L, size_t bytes)
{
	struct vm *vm = vm_of(L);

	if (bytes <= hold_room(vm))
		return;
	(void)lua_gc(L, LUA_GCCOLLECT);
	if (bytes > hold_room(vm))
		(void)hold_refuse(L);
}

void
hold_check_add(lua_State *L, size_t bytes)
{
	hold_check(L, bytes);
	if (hold_add(vm_of(L), bytes) == -1)
		(void)hold_refuse(L);
}

static void
free_doc(struct vm *vm)
{
	jdoc_free(&vm->doc);
	hold_drop(vm, vm->doc_held);
	vm->doc_held = 0;
}

int
hold_json(lua_State *L, struct str text, size_t *ret_offset, struct err *err)
{
	struct vm *vm = vm_of(L);
	struct jdoc *doc = &vm->doc;
	size_t size;
	int rc, full;

	/* The strings without their escapes are never longer than the text; of
	 * the rest, half is for the tape's growth. */
	hold_check(L, text.len);
	doc->tape_max = (hold_room(vm) + vm->doc_held - text.len) /
			    sizeof(struct jval) / 2 +
			1;
	rc = jdoc_parse(doc, text.data, text.len, ret_offset, err);
	size = doc->tape_cap * sizeof(struct jval) + text.len;
	if (rc == -1) {
		full = doc->tape_full;
		if (doc->tape_cap > TAPE_KEEP)
			free_doc(vm);
		if (full)
			(void)hold_refuse(L);
		return -1;
	}
	if (doc->tape_cap > TAPE_KEEP && size > vm->doc_held) {
		if (hold_add(vm, size - vm->doc_held) == -1) {
			free_doc(vm);
			(void)hold_refuse(L);
		}
		vm->doc_held = size;
	}
	luaL_checkstack(L, LUA_MINSTACK, NULL);
	convert_push(L, jdoc_root(doc));
	if (doc->tape_cap > TAPE_KEEP)
		free_doc(vm);
	return 0;
}

void
hold_tidy(struct vm *vm)
{
	if (vm->doc.tape_cap > TAPE_KEEP)
		free_doc(vm);
	vm_trim(vm);
}
