#include <criterion/criterion.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "base/err.h"
#include "base/str.h"
#include "sentry/ui_schema.h"

#define FIELD(name, rest)                                                      \
	"{\"name\":\"" name "\",\"label\":\"L\",\"type\":\"text\"" rest "}"
#define LIST(name)                                                             \
	"{\"name\":\"" name "\",\"label\":\"L\",\"type\":\"select\","          \
	"\"required\":true,\"dynamic\":true,\"uri\":\"/ui/options/" name "\"}"
#define ACTION(fields)                                                         \
	"{\"ui\":[{\"kind\":\"alert_action\",\"title\":\"T\","                 \
	"\"description\":\"D\",\"fields\":[" fields "]}]}"
#define LINK(fields)                                                           \
	"{\"ui\":[{\"kind\":\"issue_link\",\"create\":{\"fields\":[" fields    \
	"]},\"link\":{\"fields\":[" fields "]}}]}"
#define STACK "{\"ui\":[{\"kind\":\"stacktrace_link\"}]}"

static const struct ui_script action = {"scripts/a.lua", ACTION(LIST("who"))};
static const struct ui_script other = {
    "scripts/b.lua", LINK(FIELD("x", ",\"required\":true"))};
static const struct ui_script stack = {"scripts/c.lua", STACK};
static const struct ui_script nothing = {"scripts/d.lua", NULL};

Test(ui_schema, has_one_element_a_component)
{
	const struct ui_script scripts[] = {action, nothing, stack, other};
	struct buf out = BUF_INIT;

	cr_assert_eq(ui_schema(scripts, 4, "/i/shop", &out), 3);
	cr_assert_str_eq(out.data,
	    "{\n  \"elements\": [\n    {\n"
	    "      \"type\": \"issue-link\",\n"
	    "      \"create\": {\n"
	    "        \"uri\": \"/i/shop/ui/issue-link/create\",\n"
	    "        \"required_fields\": [\n          {\n"
	    "            \"type\": \"text\",\n"
	    "            \"label\": \"L\",\n"
	    "            \"name\": \"x\"\n          }\n        ]\n      },\n"
	    "      \"link\": {\n"
	    "        \"uri\": \"/i/shop/ui/issue-link/link\",\n"
	    "        \"required_fields\": [\n          {\n"
	    "            \"type\": \"text\",\n"
	    "            \"label\": \"L\",\n"
	    "            \"name\": \"x\"\n          }\n        ]\n      }\n"
	    "    },\n    {\n"
	    "      \"type\": \"alert-rule-action\",\n"
	    "      \"title\": \"T\",\n"
	    "      \"settings\": {\n"
	    "        \"type\": \"alert-rule-settings\",\n"
	    "        \"uri\": \"/i/shop/ui/alert-rule-action\",\n"
	    "        \"description\": \"D\",\n"
	    "        \"required_fields\": [\n          {\n"
	    "            \"type\": \"select\",\n"
	    "            \"label\": \"L\",\n"
	    "            \"name\": \"who\",\n"
	    "            \"uri\": \"/i/shop/ui/options/who\"\n"
	    "          }\n        ]\n      }\n    },\n    {\n"
	    "      \"type\": \"stacktrace-link\",\n"
	    "      \"uri\": \"/i/shop/ui/stacktrace-link\"\n"
	    "    }\n  ]\n}");
	buf_free(&out);
}

Test(ui_schema, of_nothing_is_nothing)
{
	struct buf out = BUF_INIT;

	cr_assert_eq(ui_schema(&nothing, 1, "", &out), 0);
	cr_assert_eq(out.len, 0);
}

Test(ui_schema, a_component_is_in_one_script)
{
	const struct ui_script again = {
	    "scripts/z.lua", ACTION(FIELD("y", ""))};
	const struct ui_script others[] = {nothing, stack, other, action};
	struct err err = ERR_INIT;

	cr_assert_eq(ui_conflict(&again, others, 3, &err), 0);
	cr_assert_eq(ui_conflict(&again, others, 4, &err), -1);
	cr_assert_eq(err.code, ERR_INVALID);
	cr_assert_str_eq(err.msg,
	    "scripts/z.lua: alert_action is declared in scripts/a.lua already: "
	    "an integration has one of each");
}

Test(ui_schema, an_options_list_is_in_one_script)
{
	const struct ui_script link = {"scripts/z.lua", LINK(LIST("who"))};
	struct err err = ERR_INIT;

	cr_assert_eq(ui_conflict(&link, &action, 1, &err), -1);
	cr_assert_str_eq(err.msg,
	    "scripts/z.lua: scripts/a.lua has an options function for a field "
	    "'who' too: both would be /ui/options/who");
}

Test(ui_schema, knows_who_answers)
{
	cr_assert(ui_serves(action.declared, STR("alert-rule-action")));
	cr_assert(ui_serves(action.declared, STR("options/who")));
	cr_assert_not(ui_serves(action.declared, STR("options/whom")));
	cr_assert_not(ui_serves(action.declared, STR("options/")));
	cr_assert_not(ui_serves(action.declared, STR("issue-link/create")));
	cr_assert(ui_serves(other.declared, STR("issue-link/create")));
	cr_assert(ui_serves(other.declared, STR("issue-link/link")));
	cr_assert_not(ui_serves(other.declared, STR("issue-link/delete")));
	cr_assert_not(ui_serves(other.declared, STR("options/x")));
	cr_assert(ui_serves(stack.declared, STR("stacktrace-link")));
	cr_assert_not(ui_serves(nothing.declared, STR("stacktrace-link")));
	cr_assert_not(ui_serves("{\"ui\":1}", STR("stacktrace-link")));
}

Test(ui_schema, of_anything_else_comes_no_harm)
{
	static const char *const odd[] = {"", "{", "1", "{\"ui\":[1,\"x\",[]]}",
	    "{\"ui\":[{\"kind\":1}]}", "{\"ui\":[{\"kind\":\"alert_action\"}]}",
	    "{\"ui\":[{\"kind\":\"alert_action\",\"fields\":\"abc\"}]}",
	    "{\"ui\":[{\"kind\":\"alert_action\",\"fields\":[1,{}]}]}",
	    "{\"ui\":[{\"kind\":\"issue_link\",\"create\":7,\"link\":[]}]}",
	    "{\"ui\":{\"kind\":\"issue_link\"}}"};
	struct ui_script script = {"scripts/x.lua", NULL};
	struct buf out = BUF_INIT;
	size_t i;

	for (i = 0; i < NELEMS(odd); i++) {
		script.declared = odd[i];
		(void)ui_schema(&script, 1, "", &out);
		(void)!ui_conflict(&script, &action, 1, NULL);
		(void)!ui_conflict(&action, &script, 1, NULL);
		cr_assert_not(ui_serves(odd[i], STR("options/who")));
		buf_free(&out);
	}
}
