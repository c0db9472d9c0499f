// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// unwired-config-doc schema|markdown|man: writes what the key table says as a JSON schema
// (config/schema.json), as docs/configuration.md or as docs/man/unwired.conf.5.

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/key.h"

static json_t *object_schema(const char *parent);

// The words of a key that this version takes.
static json_t *words_schema(const struct key *key)
{
	json_t *words = json_array();

	for (const struct key_word *w = key->words; w->text != NULL; w++) {
		if (!w->is_later)
			json_array_append_new(words, json_string(w->text));
	}
	return json_pack("{s:s, s:o}", "type", "string", "enum", words);
}

static json_t *text_schema(const struct key *key)
{
	json_t *schema = json_pack("{s:s}", "type", "string");

	if (key->type == KEY_ENDPOINT)
		return schema;
	json_object_set_new(schema, "minLength", json_integer(key->min));
	json_object_set_new(schema, "maxLength", json_integer(key->max));
	if (key->type == KEY_NAME)
		json_object_set_new(schema, "pattern", json_string("^[A-Za-z0-9._-]+$"));
	return schema;
}

static json_t *number_schema(const struct key *key)
{
	json_t *schema = json_pack("{s:s, s:I, s:I}", "type", "integer", "minimum",
		(json_int_t)key->min, "maximum", (json_int_t)key->max);

	if (key->multiple != 0)
		json_object_set_new(schema, "multipleOf", json_integer(key->multiple));
	return schema;
}

static json_t *list_schema(const struct key *key)
{
	json_t *schema = json_pack("{s:s, s:I, s:I}", "type", "array", "minItems",
		(json_int_t)key->min, "maxItems", (json_int_t)key->max);
	char pattern[128];
	json_t *items;

	snprintf(pattern, sizeof(pattern), "%s[]", key->path);
	switch (key->type) {
	case KEY_OBJECTS:
	case KEY_OBJECTS_OWNED:
		items = object_schema(pattern);
		break;
	case KEY_WORDS:
	case KEY_WORD_BITS:
		items = words_schema(key);
		break;
	case KEY_CORES:
		items = json_pack("{s:s, s:i, s:i}", "type", "integer", "minimum", 0, "maximum",
			KEY_CORE_MAX);
		break;
	default:
		items = json_pack("{s:s}", "type", "string");
	}
	json_object_set_new(schema, "items", items);
	return schema;
}

static json_t *value_schema(const struct key *key)
{
	switch (key->type) {
	case KEY_OBJECT:
		return object_schema(key->path);
	case KEY_NUMBER:
		return number_schema(key);
	case KEY_BOOL:
		return json_pack("{s:s}", "type", "boolean");
	case KEY_WORD:
		return words_schema(key);
	case KEY_NAME:
	case KEY_DEVICE:
	case KEY_FILE:
	case KEY_ENDPOINT:
		return text_schema(key);
	case KEY_LATER_OBJECT:
		return json_pack("{s:s, s:{s:{}}, s:b}", "type", "object", "patternProperties",
			"^//", "additionalProperties", 0);
	case KEY_LATER_LIST:
		return json_pack("{s:s, s:i}", "type", "array", "maxItems", 0);
	case KEY_LATER_NUMBER:
		return json_pack("{s:{}}", "not");
	default:
		return list_schema(key);
	}
}

static json_t *object_schema(const char *parent)
{
	json_t *properties = json_object(), *required = json_array();

	for (const struct key *key = key_table; key->path != NULL; key++) {
		json_t *schema;

		if (!key_is_child(key, parent))
			continue;
		schema = value_schema(key);
		json_object_set_new(schema, "description", json_string(key->help));
		if (key->fallback != NULL)
			json_object_set_new(schema, "default",
				json_loads(key->fallback, JSON_DECODE_ANY, NULL));
		json_object_set_new(properties, key_name(key), schema);
		if (key->is_required)
			json_array_append_new(required, json_string(key_name(key)));
	}
	return json_pack("{s:s, s:o, s:o, s:{s:{}}, s:b}", "type", "object", "properties",
		properties, "required", required, "patternProperties", "^//",
		"additionalProperties", 0);
}

static void write_schema(void)
{
	json_t *schema = object_schema("");

	json_object_set_new(
		schema, "$schema", json_string("https://json-schema.org/draft/2020-12/schema"));
	json_object_set_new(schema, "title", json_string("Unwired configuration"));
	json_dumpf(schema, stdout, JSON_INDENT(2) | JSON_SORT_KEYS);
	putchar('\n');
	json_decref(schema);
}

static const char *default_text(const struct key *key)
{
	if (key->is_required)
		return "required";
	if (key->fallback != NULL)
		return key->fallback;
	return key->fallback_note != NULL ? key->fallback_note : "";
}

static const char *apply_text(const struct key *key)
{
	static const char *const texts[] = {
		[KEY_LIVE] = "reload",
		[KEY_RESTART_CONTROL] = "restart of unwired-control",
		[KEY_RESTART_DATAPLANE] = "restart of unwired-dataplane",
	};

	return texts[key->apply];
}

static void write_markdown(void)
{
	printf("# Configuration\n\n"
	       "Written by `unwired-config-doc markdown` from the key table of `config/key.c`; do "
	       "not edit.\n\n"
	       "Both processes read one JSON file (`--config FILE`). Keys that begin with `//` are "
	       "comments. An\nunknown key, a key given twice and a value that does not fit are "
	       "errors; each is printed as\n`FILE: path.to.key: what is wrong (what is allowed)` "
	       "and nothing starts (exit code 2). `--check`\nvalidates and exits. "
	       "`config/examples/` has files to start from; `config/schema.json` is a JSON\n"
	       "schema for editors.\n\n"
	       "A changed key takes effect with `unwiredctl reload` or with the restart of the "
	       "process named. A\nreload that would need a restart is refused as a whole.\n\n"
	       "| Key | Value | Default | Takes effect with |\n|---|---|---|---|\n");
	for (const struct key *key = key_table; key->path != NULL; key++) {
		char allowed[KEY_TEXT_MAX];

		printf("| `%s` | %s | %s | %s |\n", key->path, key_allowed(key, allowed),
			default_text(key), apply_text(key));
	}
	printf("\n## Meaning of the keys\n\n");
	for (const struct key *key = key_table; key->path != NULL; key++)
		printf("- `%s`: %s%s\n", key->path, key->help,
			key->type >= KEY_LATER_OBJECT ? " Not available in this version." : "");
}

// Writes text as one or more mdoc text lines: a sentence a line, no line that mdoc could take for
// a request.
static void man_text(const char *text)
{
	for (const char *c = text; *c != '\0'; c++) {
		if (c[0] == '\\')
			printf("\\e");
		else if (c[0] == '.' && c[1] == ' ' && c[2] != '\0') {
			printf(".\n");
			c++;
		} else
			putchar(*c);
	}
	putchar('\n');
}

static void write_man(void)
{
	printf(".\\\" SPDX-License-Identifier: BSD-3-Clause\n"
	       ".\\\" Written by unwired-config-doc man from the key table; do not edit.\n"
	       ".Dd November 20, 2026\n.Dt UNWIRED.CONF 5\n.Os\n.Sh NAME\n.Nm unwired.conf\n"
	       ".Nd configuration of the Unwired home agent\n.Sh DESCRIPTION\n"
	       "One JSON file is read by\n.Xr unwired-dataplane 8\nand\n.Xr unwired-control 8 .\n"
	       "Keys that begin with\n.Ql //\nare comments.\n"
	       "An unknown key, a key given twice and a value that does not fit are errors, "
	       "printed as\n.Dl FILE: path.to.key: what is wrong (what is allowed)\n"
	       "and nothing starts.\n.Pp\nThe keys are:\n.Bl -tag -width Ds\n");
	for (const struct key *key = key_table; key->path != NULL; key++) {
		char allowed[KEY_TEXT_MAX];

		printf(".It Cm %s\n", key->path);
		man_text(key->help);
		if (key->type >= KEY_LATER_OBJECT)
			printf("Not available in this version.\n");
		printf("Value: %s.\n", key_allowed(key, allowed));
		if (key->is_required)
			printf("Required.\n");
		else if (default_text(key)[0] != '\0')
			printf("Default: %s.\n", default_text(key));
		printf("Takes effect with: %s.\n", apply_text(key));
	}
	printf(".El\n.Sh EXIT STATUS\nA program that is given a faulty file exits 2.\n"
	       ".Sh SEE ALSO\n.Xr unwiredctl 1 ,\n.Xr unwired-control 8 ,\n"
	       ".Xr unwired-dataplane 8\n");
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*write)(void);
	} forms[] = {
		{ "schema", write_schema },
		{ "markdown", write_markdown },
		{ "man", write_man },
	};

	for (size_t i = 0; argc == 2 && i < sizeof(forms) / sizeof(forms[0]); i++) {
		if (strcmp(argv[1], forms[i].name) == 0) {
			forms[i].write();
			return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
		}
	}
	fprintf(stderr, "usage: unwired-config-doc schema|markdown|man\n");
	return 2;
}
