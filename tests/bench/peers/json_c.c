#include <json-c/json.h>

#include "bench/peers/json.h"

int
peer_json_c(const char *text, size_t len)
{
	/* Its state is used again, as ours is. */
	static struct json_tokener *tokener;
	struct json_object *value;

	if (tokener == NULL)
		tokener = json_tokener_new();
	json_tokener_reset(tokener);
	value = json_tokener_parse_ex(tokener, text, (int)len);
	if (value == NULL)
		return -1;
	json_object_put(value);
	return 0;
}
