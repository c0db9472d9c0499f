// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors
//
// The table of all configuration keys. One row reads, checks, compares and documents its key.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// What a key's value is. The list types hold min..max elements.
enum key_type {
	KEY_OBJECT,
	KEY_OBJECTS, // list of objects, in an array inside the struct
	KEY_OBJECTS_OWNED, // the same in an allocated array
	KEY_NAME, // min..max characters of A-Z a-z 0-9 . _ -
	KEY_DEVICE, // of DPDK
	KEY_FILE, // path, relative to the configuration file
	KEY_ENDPOINT, // address:port
	KEY_NUMBER, // min..max
	KEY_BOOL,
	KEY_WORD, // one of words
	KEY_WORDS, // list of words, checked only
	KEY_WORD_BITS, // list of words whose values are bits of one number
	KEY_CORES, // list of CPU numbers
	KEY_PORT_ADDRESSES, // list of interface addresses with length
	KEY_HOME_PREFIXES, // list
	KEY_AGENT_ADDRESSES, // list
	KEY_LATER_OBJECT, // only absent or empty in this version
	KEY_LATER_LIST,
	KEY_LATER_NUMBER,
};

// When a changed value takes effect.
enum key_apply { KEY_LIVE, KEY_RESTART_CONTROL, KEY_RESTART_DATAPLANE };

// One of the words that a KEY_WORD takes. A word of a later version is known but refused.
struct key_word {
	const char *text; // "" is any other word; NULL ends the list
	uint32_t value;
	bool is_later;
};

// A row. path has "[]" for any index of a list; offset and count_offset are in the struct of the
// innermost list element (struct config outside lists).
struct key {
	const char *path;
	enum key_type type;
	enum key_apply apply;
	bool is_required;
	uint32_t offset;
	uint32_t size; // of the field, or of one element of a list
	uint32_t count_offset; // of the number of elements of a list
	uint16_t count_size;
	uint32_t min, max; // value, characters or elements
	uint32_t multiple; // the value is a multiple of it; 0 = any
	const char *unit; // NULL without
	const char *fallback; // JSON text of the default, NULL without
	const char *fallback_note; // default that is reckoned or is nothing, in words
	const struct key_word *words;
	const char *help;
};

enum {
	KEY_CORE_MAX = 1023, // highest CPU number
	KEY_HOME_PREFIX_MIN = 16, // bits
	KEY_HOME_PREFIX_MAX = 64,
	KEY_TEXT_MAX = 256, // room for key_allowed
};

// All rows, parents before children; path NULL ends the table.
extern const struct key key_table[];

// True when key lies directly in the object with this path ("" is the document).
bool key_is_child(const struct key *key, const char *parent);

// The last part of a key's path.
const char *key_name(const struct key *key);

// The row of name directly in parent, or NULL.
const struct key *key_find(const char *parent, const char *name);

// Writes what values a key takes, in words, into buf and returns buf.
char *key_allowed(const struct key *key, char buf[static KEY_TEXT_MAX]);
