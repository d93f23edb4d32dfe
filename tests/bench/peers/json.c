#include <cjson/cJSON.h>
#include <jansson.h>

#include "bench/peers/json.h"

int
peer_cjson(const char *text, size_t len)
{
	cJSON *value = cJSON_ParseWithLength(text, len);

	if (value == NULL)
		return -1;
	cJSON_Delete(value);
	return 0;
}

int
peer_jansson(const char *text, size_t len)
{
	json_error_t error;
	json_t *value = json_loadb(text, len, 0, &error);

	if (value == NULL)
		return -1;
	json_decref(value);
	return 0;
}
