// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 the Unwired authors

#include "config/config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/key.h"
#include "dataplane/api/records.h"
#include "tests/unit/base/suite.h"

static_assert((int)CONFIG_MAX_ALL_AGENTS <= (int)API_MAX_AGENTS, "agents fit the dataplane");
static_assert(
	(int)CONFIG_MAX_ALL_PREFIXES < (int)API_MAX_HOME_PREFIXES, "prefixes fit the dataplane");

// Documents are written with ' for ".
#define PORT "{'name':'p0','device':'net_null0'}"
#define PORTS "'dataplane':{'ports':[" PORT "]}"
#define NETWORK(name, prefix, agent)                                                   \
	"'name':'" name "','prefixes':['" prefix "'],'agent_addresses':['" agent "']," \
	"'authentication':'none'"
#define HOME NETWORK("n", "2001:db8:1::/64", "2001:db8:1::1")
// A whole document whose only home network, only port or dataplane has more keys.
#define HOME_IPSEC                                                                       \
	"'name':'n','prefixes':['2001:db8:1::/64'],'agent_addresses':['2001:db8:1::1']," \
	"'authentication':'ipsec'"
#define WITH_HOME(more) "{" PORTS ",'home_networks':[{" HOME "," more "}]}"
#define WITH_PORT(more) "{'dataplane':{'ports':[{'name':'p0','device':'net_null0'," more "}]}}"
#define WITH_DATAPLANE(more) "{'dataplane':{'ports':[" PORT "]," more "}}"
#define WITH_TOP(more) "{" PORTS "," more "}"

// Parses text; *errors (owned by the caller) gets what was written.
static struct config *parse(const char *text, char **errors)
{
	char *json = strdup(text);
	size_t len;
	FILE *err = open_memstream(errors, &len);
	struct config *config;
	int error;

	for (char *c = json; *c != '\0'; c++) {
		if (*c == '\'')
			*c = '"';
	}
	config = config_parse(json, strlen(json), "F", err);
	error = errno;
	fclose(err);
	free(json);
	errno = error;
	return config;
}

// Parses text, which must be right.
static struct config *parse_right(const char *text)
{
	char *errors;
	struct config *config = parse(text, &errors);

	if (config == NULL)
		fprintf(stderr, "%s", errors);
	CU_ASSERT_PTR_NOT_NULL_FATAL(config);
	CU_ASSERT_STRING_EQUAL(errors, "");
	free(errors);
	return config;
}

struct bad_row {
	const char *text;
	const char *errors; // all of them
};

static void expect_errors(const struct bad_row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		char *errors;
		struct config *config = parse(rows[i].text, &errors);

		CU_ASSERT_PTR_NULL(config);
		CU_ASSERT_EQUAL(errno, EINVAL);
		if (strcmp(errors, rows[i].errors) != 0)
			fprintf(stderr, "row %zu\nwanted: %sgot:    %s", i, rows[i].errors, errors);
		CU_ASSERT_STRING_EQUAL(errors, rows[i].errors);
		free(errors);
		config_free(config);
	}
}

#define EXPECT_ERRORS(rows) expect_errors(rows, sizeof(rows) / sizeof((rows)[0]))
#define NOT_YET "is not available in this version"

static void test_document(void)
{
	static const struct bad_row rows[] = {
		{ "", "F: line 1 column 0: '[' or '{' expected near end of file (allowed: JSON, no "
		      "key twice)\n" },
		{ "{\n  'node': {},\n  'node': {}\n}", "F: line 3 column 8: duplicate object key "
						       "near '\"node\"' (allowed: JSON, no "
						       "key twice)\n" },
		{ "[]", "F: line 1 column 1: is not an object (allowed: an object)\n" },
		{ "{}", "F: dataplane: is missing (allowed: an object)\n" },
		{ "{'dataplane':{}}",
			"F: dataplane.ports: is missing (allowed: a list of 1..16 objects)\n" },
		{ "{'dataplane':{'ports':[]}}",
			"F: dataplane.ports: has too few or too many elements (allowed: a list of "
			"1..16 objects)\n" },
		{ "{'dataplane':{'ports':{}}}",
			"F: dataplane.ports: is not a list (allowed: a list of 1..16 objects)\n" },
		{ "{'dataplane':{'ports':[1]}}",
			"F: dataplane.ports[0]: is not an object (allowed: an object)\n" },
		{ "{'dataplane':[]}", "F: dataplane: is not an object (allowed: an object)\n" },
		{ WITH_TOP("'evil\\n\\u001b[2J':1"),
			"F: evil??[2J: unknown key (allowed: node, dataplane, home_networks, "
			"subscribers, control, telemetry, cluster, bgp, aaa)\n" },
		{ WITH_TOP("'cluster':{'peers':[]}"),
			"F: cluster: " NOT_YET " (allowed: nothing or {})\n" },
		{ WITH_TOP("'bgp':[]"), "F: bgp: " NOT_YET " (allowed: nothing or {})\n" },
		{ WITH_TOP("'aaa':null"), "F: aaa: " NOT_YET " (allowed: nothing or {})\n" },
		{ WITH_TOP("'node':{'name':''}"),
			"F: node.name: \"\" has 0 characters (allowed: 1..63 characters of A-Z a-z "
			"0-9 . _ -)\n" },
		{ WITH_TOP("'control':{'durability':'fast'}"),
			"F: control.durability: \"fast\" is unknown (allowed: sync, relaxed)\n" },
		{ WITH_TOP("'subscribers':{'file':7}"),
			"F: subscribers.file: is not a string (allowed: a path of 1..4095 "
			"characters)\n" },
	};

	EXPECT_ERRORS(rows);
}

static void test_dataplane(void)
{
	static const struct bad_row rows[] = {
		{ WITH_DATAPLANE("'worker_cores':[]"),
			"F: dataplane.worker_cores: has too few or too many elements (allowed: a "
			"list of 1..64 numbers, each 0..1023)\n" },
		{ WITH_DATAPLANE("'worker_cores':[1,2,1,'3',1024,-1]"),
			"F: dataplane.worker_cores[2]: is there twice (allowed: a list of 1..64 "
			"numbers, each 0..1023)\n"
			"F: dataplane.worker_cores[3]: is not a whole number (allowed: a list of "
			"1..64 numbers, each 0..1023)\n"
			"F: dataplane.worker_cores[4]: 1024 is out of range (allowed: a list of "
			"1..64 numbers, each 0..1023)\n"
			"F: dataplane.worker_cores[5]: -1 is out of range (allowed: a list of "
			"1..64 numbers, each 0..1023)\n" },
		{ WITH_DATAPLANE("'max_bindings':15"),
			"F: dataplane.max_bindings: 15 is out of range (allowed: 16..67000000)\n" },
		{ WITH_DATAPLANE("'max_bindings':67000001"),
			"F: dataplane.max_bindings: 67000001 is out of range (allowed: "
			"16..67000000)\n" },
		{ WITH_DATAPLANE("'max_bindings':4294967316"),
			"F: dataplane.max_bindings: 4294967316 is out of range (allowed: "
			"16..67000000)\n" },
		{ WITH_DATAPLANE("'max_bindings':100.0"),
			"F: dataplane.max_bindings: is not a whole number (allowed: "
			"16..67000000)\n" },
		{ WITH_DATAPLANE("'memory_mb':'1G'"),
			"F: dataplane.memory_mb: is not a whole number (allowed: 64..1048576 "
			"MiB)\n" },
		{ WITH_DATAPLANE("'orphan_hold_s':0"),
			"F: dataplane.orphan_hold_s: 0 is out of range (allowed: 1..262140 s)\n" },
		{ WITH_DATAPLANE("'idle':'nap'"),
			"F: dataplane.idle: \"nap\" is unknown (allowed: auto, spin, sleep)\n" },
		{ WITH_DATAPLANE("'hugepages':true"),
			"F: dataplane.hugepages: is not a string (allowed: auto, on, off)\n" },
	};

	EXPECT_ERRORS(rows);
}

static void test_ports(void)
{
	static const struct bad_row rows[] = {
		{ WITH_PORT("'adress':[]"),
			"F: dataplane.ports[0].adress: unknown key (allowed: name, device, "
			"addresses, queues, mtu, vlans)\n" },
		{ WITH_PORT("'vlans':[{'id':4095,'domain':1},{'domain':65536},{'id':0}]"),
			"F: dataplane.ports[0].vlans[0].id: 4095 is out of range (allowed: "
			"1..4094)\n"
			"F: dataplane.ports[0].vlans[1].id: is missing (allowed: 1..4094)\n"
			"F: dataplane.ports[0].vlans[1].domain: 65536 is out of range (allowed: "
			"0..65535)\n"
			"F: dataplane.ports[0].vlans[2].id: 0 is out of range (allowed: "
			"1..4094)\n" },
		{ "{'dataplane':{'ports':[{'name':'a.7','device':'d'},{'name':'a','device':'e',"
		  "'addresses':['10.0.0.1/24'],'vlans':["
		  "{'id':7,'addresses':['10.0.0.1/24']},{'id':8,'domain':1,"
		  "'addresses':['10.0.0.1/24']},{'id':8,'domain':2,'addresses':['10.0.0.1/24']},"
		  "{'id':9,'domain':1,'addresses':['10.0.0.1/24','10.0.0.2/24','10.0.0.2/24']}]},"
		  "{'name':'twelve-chars','device':'f','vlans':[{'id':99},{'id':100}]}]}}",
			"F: dataplane.ports[1].vlans[0].id: its interface \"a.7\" has the name of "
			"a "
			"port (allowed: another name for the port)\n"
			"F: dataplane.ports[1].vlans[2].id: 8 is that of "
			"dataplane.ports[1].vlans[1] "
			"(allowed: an identifier once)\n"
			"F: dataplane.ports[2].vlans[1].id: the interface name "
			"\"twelve-chars.100\" "
			"has 16 characters (allowed: 1..15; give the port a shorter name)\n"
			"F: dataplane.ports[1].vlans[0].addresses[0]: 10.0.0.1 is also "
			"dataplane.ports[1].addresses[0] (allowed: an address once)\n"
			"F: dataplane.ports[1].vlans[3].addresses[0]: 10.0.0.1 is also "
			"dataplane.ports[1].vlans[1].addresses[0] (allowed: an address once)\n"
			"F: dataplane.ports[1].vlans[3].addresses[2]: 10.0.0.2 is also "
			"dataplane.ports[1].vlans[3].addresses[1] (allowed: an address once)\n" },
		{ WITH_PORT("'mtu':1279"),
			"F: dataplane.ports[0].mtu: 1279 is out of range (allowed: 1280..9216 "
			"bytes)\n" },
		{ WITH_PORT("'addresses':['2001:db8::1','ff02::1/64','fe80::1/64','127.0.0.1/8',"
			    "'2001:db8::/0']"),
			"F: dataplane.ports[0].addresses[0]: \"2001:db8::1\" is no address with "
			"length (allowed: a list of 0..16 unicast ADDRESS/LENGTH, IPv6 or IPv4)\n"
			"F: dataplane.ports[0].addresses[1]: \"ff02::1/64\" is no address for an "
			"interface (allowed: a list of 0..16 unicast ADDRESS/LENGTH, IPv6 or "
			"IPv4)\n"
			"F: dataplane.ports[0].addresses[3]: \"127.0.0.1/8\" is no address for an "
			"interface (allowed: a list of 0..16 unicast ADDRESS/LENGTH, IPv6 or "
			"IPv4)\n"
			"F: dataplane.ports[0].addresses[4]: \"2001:db8::/0\" has no room for a "
			"subnet (allowed: a list of 0..16 unicast ADDRESS/LENGTH, IPv6 or "
			"IPv4)\n" },
		{ "{'dataplane':{'ports':[{'name':'sixteen-letters-','device':'-d'},"
		  "{'name':'a b','device':'x y'},{'name':'lo','device':'d'}]}}",
			"F: dataplane.ports[0].name: \"sixteen-letters-\" has 16 characters "
			"(allowed: 1..15 characters of A-Z a-z 0-9 . _ -)\n"
			"F: dataplane.ports[0].device: \"-d\" begins with \"-\" (allowed: a PCI "
			"address or DPDK vdev string of 1..255 characters)\n"
			"F: dataplane.ports[1].name: \"a b\" has a wrong character (allowed: 1..15 "
			"characters of A-Z a-z 0-9 . _ -)\n"
			"F: dataplane.ports[1].device: \"x y\" has a wrong character (allowed: a "
			"PCI "
			"address or DPDK vdev string of 1..255 characters)\n"
			"F: dataplane.ports[2].name: \"lo\" is taken in Linux (allowed: another "
			"name)\n" },
		{ "{'dataplane':{'ports':[{'name':'p','device':'d','addresses':['10.0.0.1/8',"
		  "'fe80::1/64']},"
		  "{'name':'p','device':'d','addresses':['10.0.0.1/24','fe80::1/64',"
		  "'2001:db8::1/64','2001:DB8:0::1/48']}]}}",
			"F: dataplane.ports[1].name: \"p\" is the name of dataplane.ports[0] "
			"(allowed: a name of its own)\n"
			"F: dataplane.ports[1].device: \"d\" is the device of dataplane.ports[0] "
			"(allowed: a device of its own)\n"
			"F: dataplane.ports[1].addresses[0]: 10.0.0.1 is also "
			"dataplane.ports[0].addresses[0] (allowed: an address once)\n"
			"F: dataplane.ports[1].addresses[3]: 2001:db8::1 is also "
			"dataplane.ports[1].addresses[2] (allowed: an address once)\n" },
	};

	EXPECT_ERRORS(rows);
}

#define PREFIX_RULE \
	" (allowed: a list of 1..16 unicast IPv6 prefixes, each /16../64 without host bits)\n"
#define AGENT_RULE " (allowed: a list of 1..4 unicast routable IPv6 addresses)\n"

static void test_networks(void)
{
	static const struct bad_row rows[] = {
		{ "{" PORTS ",'home_networks':[{'name':'n','prefixes':['2001:db8:1::/64'],"
		  "'agent_addresses':['2001:db8:1::1']}]}",
			"F: home_networks[0].authentication: is missing (allowed: none, "
			"auth-option, ipsec)\n" },
		{ "{" PORTS ",'home_networks':[{'name':'n','prefixes':['2001:db8:1::/64'],"
		  "'agent_addresses':['2001:db8:1::1'],'authentication':'ipsec',"
		  "'protect':['discovery','payload','payload','x']}]}",
			"F: home_networks[0].protect[2]: is there twice (allowed: a list of: "
			"signalling, discovery, routability, payload)\n"
			"F: home_networks[0].protect[3]: \"x\" is unknown (allowed: a list of: "
			"signalling, discovery, routability, payload)\n"
			"F: home_networks[0].protect: signalling is missing (allowed: a list with "
			"signalling)\n" },
		{ WITH_HOME("'protect':['payload']"),
			"F: home_networks[0].protect: has no sense without security associations "
			"(allowed: only with authentication ipsec)\n" },
		{ WITH_HOME("'protect':[]"),
			"F: home_networks[0].protect: has too few or too many elements (allowed: "
			"a list of: signalling, discovery, routability, payload)\n" },
		{ WITH_HOME("'protect':1"),
			"F: home_networks[0].protect: is not a list (allowed: a list of: "
			"signalling, discovery, routability, payload)\n" },
		{ WITH_HOME("'link':'core0'"),
			"F: home_networks[0].link: \"core0\" " NOT_YET " (allowed: virtual)\n" },
		{ WITH_HOME("'protocols':['mip6','pmip6','mip6','x']"),
			"F: home_networks[0].protocols[1]: \"pmip6\" " NOT_YET
			" (allowed: a list of: mip6)\n"
			"F: home_networks[0].protocols[2]: is there twice (allowed: a list of: "
			"mip6)\n"
			"F: home_networks[0].protocols[3]: \"x\" is unknown (allowed: a list of: "
			"mip6)\n" },
		{ WITH_HOME("'protocols':[]"),
			"F: home_networks[0].protocols: has too few or too many elements (allowed: "
			"a list of: mip6)\n" },
		{ WITH_HOME("'max_lifetime_s':421"),
			"F: home_networks[0].max_lifetime_s: 421 is not a multiple of 4 (allowed: "
			"4..262140 s in steps of 4)\n" },
		{ WITH_HOME("'max_lifetime_s':0"),
			"F: home_networks[0].max_lifetime_s: 0 is out of range (allowed: 4..262140 "
			"s in steps of 4)\n" },
		{ WITH_HOME("'encapsulation_limit':256"),
			"F: home_networks[0].encapsulation_limit: 256 is out of range (allowed: "
			"0..255)\n" },
		{ WITH_HOME("'prefix_deprecated':1"),
			"F: home_networks[0].prefix_deprecated: is not a truth value (allowed: "
			"true or false)\n" },
		{ WITH_HOME("'mesg_id_required':true"),
			"F: home_networks[0].mesg_id_required: has no sense without authentication "
			"(allowed: true only with authentication auth-option)\n" },
		{ WITH_HOME("'mobile_networks':['2001:db8:100::/40']"),
			"F: home_networks[0].mobile_networks: " NOT_YET
			" (allowed: nothing or [])\n" },
		{ WITH_HOME("'unicast_addresses':['2001:db8::1']"),
			"F: home_networks[0].unicast_addresses: " NOT_YET
			" (allowed: nothing or [])\n" },
		{ WITH_HOME("'mags':[{}]"),
			"F: home_networks[0].mags: " NOT_YET " (allowed: nothing or [])\n" },
		{ WITH_HOME("'home_prefix_length':64"),
			"F: home_networks[0].home_prefix_length: " NOT_YET
			" (allowed: nothing)\n" },
		{ "{" PORTS ",'home_networks':[{'name':'n','authentication':'none',"
		  "'prefixes':['2001:db8:1::/65','2001:db8::1/64','fe80::/16','10.0.0.0/24','x',4,"
		  "'2000::/15'],"
		  "'agent_addresses':['ff02::1','10.0.0.1','::','2001:db8::/64']}]}",
			"F: home_networks[0].prefixes[0]: \"2001:db8:1::/65\" has a length out of "
			"range" PREFIX_RULE
			"F: home_networks[0].prefixes[1]: \"2001:db8::1/64\" has bits set behind "
			"its length" PREFIX_RULE "F: home_networks[0].prefixes[2]: \"fe80::/16\" "
			"is no unicast prefix" PREFIX_RULE
			"F: home_networks[0].prefixes[3]: \"10.0.0.0/24\" has a length out of "
			"range" PREFIX_RULE "F: home_networks[0].prefixes[4]: \"x\" is no prefix "
			"with length" PREFIX_RULE
			"F: home_networks[0].prefixes[5]: is not a string" PREFIX_RULE
			"F: home_networks[0].prefixes[6]: \"2000::/15\" has a length out of "
			"range" PREFIX_RULE
			"F: home_networks[0].agent_addresses[0]: \"ff02::1\" is not unicast "
			"routable" AGENT_RULE
			"F: home_networks[0].agent_addresses[1]: \"10.0.0.1\" is not unicast "
			"routable" AGENT_RULE
			"F: home_networks[0].agent_addresses[2]: \"::\" is not unicast "
			"routable" AGENT_RULE
			"F: home_networks[0].agent_addresses[3]: \"2001:db8::/64\" is no "
			"address" AGENT_RULE },
	};

	EXPECT_ERRORS(rows);
}

static void test_between_networks(void)
{
	static const struct bad_row rows[] = {
		{ "{" PORTS ",'home_networks':[{" HOME "},"
		  "{" NETWORK("n", "2001:db8::/32", "2001:db8:2::1") "}]}",
			"F: home_networks[1].name: \"n\" is the name of home_networks[0] (allowed: "
			"a name of its own)\n"
			"F: home_networks[1].prefixes[0]: 2001:db8::/32 overlaps with "
			"2001:db8:1::/64 in home_networks[0].prefixes[0] (allowed: prefixes apart "
			"from each other)\n" },
		{ "{" PORTS ",'home_networks':[{" HOME "},"
		  "{" NETWORK("m", "2001:db8:1::/64", "2001:db8:1:0::1") ",'domain':1}]}",
			"F: home_networks[1].domain: 1 is the domain of no VLAN (allowed: 0, or "
			"the "
			"domain of a VLAN)\n"
			"F: home_networks[1].agent_addresses[0]: 2001:db8:1::1 is also "
			"home_networks[0].agent_addresses[0] (allowed: an address once)\n" },
	};

	EXPECT_ERRORS(rows);
}

static void test_telemetry(void)
{
	static const struct {
		const char *listen;
		const char *what; // NULL: right
	} rows[] = {
		{ "[::1]:9273", NULL },
		{ "127.0.0.1:1", NULL },
		{ "[2001:db8::1]:65535", NULL },
		{ "::1:9273", "has no valid address" },
		{ "[127.0.0.1]:9273", "has no valid address" },
		{ "[::1:9273", "has no valid address" },
		{ "[]:1", "has no valid address" },
		{ ":1", "has no valid address" },
		{ "localhost:9273", "has no valid address" },
		{ "[::1]:0", "has no port in 1..65535" },
		{ "[::1]:65536", "has no port in 1..65535" },
		{ "[::1]:", "has no port in 1..65535" },
		{ "[::1]:+5", "has no port in 1..65535" },
		{ "[::1]:99999999999999999999", "has no port in 1..65535" },
		{ "9273", "is no address and port" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char text[256], wanted[256] = "", *errors;
		struct config *config;

		snprintf(text, sizeof(text), WITH_TOP("'telemetry':{'listen':'%s'}"),
			rows[i].listen);
		config = parse(text, &errors);
		CU_ASSERT_EQUAL(config != NULL, rows[i].what == NULL);
		if (rows[i].what != NULL)
			snprintf(wanted, sizeof(wanted),
				"F: telemetry.listen: \"%s\" %s (allowed: ADDRESS:PORT, an IPv6 "
				"address in brackets)\n",
				rows[i].listen, rows[i].what);
		CU_ASSERT_STRING_EQUAL(errors, wanted);
		if (config != NULL)
			CU_ASSERT_STRING_EQUAL(config->telemetry.listen, rows[i].listen);
		free(errors);
		config_free(config);
	}
}

static void test_defaults(void)
{
	struct config *c = parse_right("{" PORTS ",'home_networks':[{" HOME "}]}");
	const struct config_network *n = &c->networks[0];

	CU_ASSERT_STRING_EQUAL(c->node.name, "unwired");
	CU_ASSERT_STRING_EQUAL(c->node.site, "");
	CU_ASSERT_EQUAL(c->dataplane.n_workers, 1);
	CU_ASSERT_EQUAL(c->dataplane.worker_cores[0], sysconf(_SC_NPROCESSORS_ONLN) > 1);
	CU_ASSERT_EQUAL(c->dataplane.main_core, 0);
	CU_ASSERT_EQUAL(c->dataplane.idle, CONFIG_IDLE_AUTO);
	CU_ASSERT_EQUAL(c->dataplane.hugepages, CONFIG_HUGEPAGES_AUTO);
	CU_ASSERT_EQUAL(c->dataplane.memory_mb, 0);
	CU_ASSERT_EQUAL(c->dataplane.max_bindings, 100000);
	CU_ASSERT_EQUAL(c->dataplane.max_routes, 16384);
	CU_ASSERT_EQUAL(c->dataplane.max_routes_ip6, 16384);
	CU_ASSERT_EQUAL(c->dataplane.orphan_hold_s, 420);
	CU_ASSERT_EQUAL(c->dataplane.n_ports, 1);
	CU_ASSERT_EQUAL(c->dataplane.ports[0].n_addresses, 0);
	CU_ASSERT_EQUAL(c->dataplane.ports[0].queues, 0);
	CU_ASSERT_EQUAL(c->dataplane.ports[0].mtu, 0);
	CU_ASSERT_EQUAL(c->n_networks, 1);
	CU_ASSERT_EQUAL(n->auth, CONFIG_AUTH_NONE);
	CU_ASSERT_EQUAL(n->max_lifetime_s, 420);
	CU_ASSERT_EQUAL(n->prefix_valid_lifetime_s, 0);
	CU_ASSERT_FALSE(n->prefix_deprecated);
	CU_ASSERT_EQUAL(n->encapsulation_limit, CONFIG_NO_ENCAPSULATION_LIMIT);
	CU_ASSERT_FALSE(n->mesg_id_required);
	CU_ASSERT_PTR_NULL(c->subscribers.file);
	CU_ASSERT_PTR_NULL(c->telemetry.listen);
	CU_ASSERT_EQUAL(c->control.durability, CONFIG_DURABILITY_SYNC);
	config_free(c);
}

static void test_values(void)
{
	struct config *c = parse_right(
		"{'//':1,'node':{'//x':{},'name':'a','site':'b'},'cluster':{'//':1},"
		"'dataplane':{'worker_cores':[3,0],'main_core':3,'idle':'sleep','hugepages':'off',"
		"'memory_mb':64,'max_bindings':67000000,'max_routes':16,'ports':["
		"{'name':'core0','device':'0000:3b:00.0','queues':2,'mtu':9000,"
		"'addresses':['2001:db8::5/64','192.0.2.1/24'],'vlans':[{'id':100,'domain':7,"
		"'addresses':['10.0.0.1/24']},{'id':200}]}]},"
		"'home_networks':[{'name':'x','domain':7,'prefixes':['2001:db8:1::/64','2003::/"
		"16'],"
		"'agent_addresses':['2001:db8:1::1','2001:db8:9::9'],'mobile_networks':[],"
		"'authentication':'auth-option','max_lifetime_s':262140,'encapsulation_limit':0,'"
		"prefix_deprecated':true,"
		"'prefix_valid_lifetime_s':4294967294,'link':'virtual'},"
		"{" NETWORK("y", "2002::/16", "2002::1") ",'mesg_id_required':false}],"
							 "'control':{'durability':'relaxed'},'"
							 "subscribers':{'file':'/s'}}");
	const struct config_port *port = &c->dataplane.ports[0];
	char text[PREFIX_STRLEN];

	CU_ASSERT_STRING_EQUAL(c->node.site, "b");
	CU_ASSERT_EQUAL(c->dataplane.n_workers, 2);
	CU_ASSERT_EQUAL(c->dataplane.worker_cores[0], 3);
	CU_ASSERT_EQUAL(c->dataplane.worker_cores[1], 0);
	CU_ASSERT_EQUAL(c->dataplane.main_core, 3);
	CU_ASSERT_EQUAL(c->dataplane.idle, CONFIG_IDLE_SLEEP);
	CU_ASSERT_EQUAL(c->dataplane.hugepages, CONFIG_HUGEPAGES_OFF);
	CU_ASSERT_EQUAL(c->dataplane.max_bindings, 67000000);
	CU_ASSERT_EQUAL(c->dataplane.orphan_hold_s, 262140);
	CU_ASSERT_STRING_EQUAL(port->device, "0000:3b:00.0");
	CU_ASSERT_EQUAL(port->queues, 2);
	CU_ASSERT_EQUAL(port->mtu, 9000);
	CU_ASSERT_EQUAL(port->n_addresses, 2);
	CU_ASSERT_STRING_EQUAL(prefix_str(&port->addresses[0], text), "2001:db8::5/64");
	CU_ASSERT_STRING_EQUAL(prefix_str(&port->addresses[1], text), "192.0.2.1/24");
	CU_ASSERT_EQUAL(c->n_networks, 2);
	CU_ASSERT_EQUAL(port->n_vlans, 2);
	CU_ASSERT_EQUAL(port->vlans[0].id, 100);
	CU_ASSERT_EQUAL(port->vlans[0].domain, 7);
	CU_ASSERT_STRING_EQUAL(prefix_str(&port->vlans[0].addresses[0], text), "10.0.0.1/24");
	CU_ASSERT_EQUAL(port->vlans[1].domain, 0);
	CU_ASSERT_EQUAL(c->dataplane.n_domains, 2);
	CU_ASSERT_EQUAL(c->dataplane.domains[0], 0);
	CU_ASSERT_EQUAL(c->dataplane.domains[1], 7);
	CU_ASSERT_EQUAL(c->networks[0].domain, 7);
	CU_ASSERT_EQUAL(c->networks[0].n_prefixes, 2);
	CU_ASSERT_STRING_EQUAL(prefix_str(&c->networks[0].prefixes[1], text), "2003::/16");
	CU_ASSERT_EQUAL(c->networks[0].n_agents, 2);
	CU_ASSERT_STRING_EQUAL(ip6_str(&c->networks[0].agent_addresses[1], text), "2001:db8:9::9");
	CU_ASSERT_EQUAL(c->networks[0].auth, CONFIG_AUTH_OPTION);
	CU_ASSERT_EQUAL(c->networks[0].prefix_valid_lifetime_s, 4294967294);
	CU_ASSERT_TRUE(c->networks[0].prefix_deprecated);
	CU_ASSERT_EQUAL(c->networks[0].encapsulation_limit, 0);
	CU_ASSERT_TRUE(c->networks[0].mesg_id_required);
	CU_ASSERT_FALSE(c->networks[1].mesg_id_required);
	CU_ASSERT_EQUAL(c->control.durability, CONFIG_DURABILITY_RELAXED);
	CU_ASSERT_STRING_EQUAL(c->subscribers.file, "/s");
	config_free(c);
}

// What follows from authentication ipsec, and what the list says instead.
static void test_ipsec(void)
{
	struct config *c = parse_right(
		"{" PORTS ",'home_networks':["
		"{'name':'n','prefixes':['2001:db8:1::/64'],'agent_addresses':['2001:db8:1::1'],"
		"'authentication':'ipsec'},"
		"{'name':'m','prefixes':['2001:db8:2::/64'],'agent_addresses':['2001:db8:2::1'],"
		"'authentication':'ipsec','protect':['payload','signalling']}]}");

	CU_ASSERT_EQUAL(c->networks[0].auth, CONFIG_AUTH_IPSEC);
	CU_ASSERT_FALSE(c->networks[0].mesg_id_required);
	CU_ASSERT_EQUAL(c->networks[0].protect,
		CONFIG_PROTECT_SIGNALLING | CONFIG_PROTECT_DISCOVERY | CONFIG_PROTECT_ROUTABILITY);
	CU_ASSERT_EQUAL(c->networks[1].protect, CONFIG_PROTECT_SIGNALLING | CONFIG_PROTECT_PAYLOAD);
	CU_ASSERT_EQUAL(c->dataplane.max_sas, CONFIG_DEFAULT_SAS);
	config_free(c);
	c = parse_right("{" PORTS ",'home_networks':[{" HOME "}]}");
	CU_ASSERT_EQUAL(c->networks[0].protect, 0);
	CU_ASSERT_EQUAL(c->dataplane.max_sas, 0);
	config_free(c);
	c = parse_right(WITH_DATAPLANE("'max_sas':100"));
	CU_ASSERT_EQUAL(c->dataplane.max_sas, 100);
	config_free(c);
}

// More home networks with all their addresses than the dataplane's tables hold.
static void test_capacity(void)
{
	char *text, *errors;
	size_t len;
	FILE *f = open_memstream(&text, &len);
	struct config *config;

	fprintf(f, "{" PORTS ",'home_networks':[");
	for (unsigned int i = 0; i < 65; i++) {
		fprintf(f, "%s{'name':'n%u','authentication':'none','prefixes':[", i ? "," : "", i);
		for (unsigned int p = 0; p < 16; p++)
			fprintf(f, "%s'2001:db8:%x::/48'", p ? "," : "", i * 16 + p);
		fprintf(f, "],'agent_addresses':[");
		for (unsigned int a = 0; a < 4; a++)
			fprintf(f, "%s'2001:db8:%x::1'", a ? "," : "", i * 16 + a);
		fprintf(f, "]}");
	}
	fprintf(f, "]}");
	fclose(f);
	config = parse(text, &errors);
	CU_ASSERT_PTR_NULL(config);
	CU_ASSERT_STRING_EQUAL(errors,
		"F: home_networks: have 1040 prefixes together (allowed: 0..1023)\n"
		"F: home_networks: have 260 agent addresses together (allowed: 0..256)\n");
	free(errors);
	free(text);
}

static void test_files(void)
{
	static const char *const names[] = { "lab.json", "carrier-two-port.json", "one-armed.json",
		"ipsec.json" };
	struct config *config;
	char path[1024];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", CONFIG_EXAMPLES, names[i]);
		config = config_load(path, stderr);
		CU_ASSERT_PTR_NOT_NULL_FATAL(config);
		CU_ASSERT_TRUE(config->n_networks > 0);
		if (strcmp(names[i], "carrier-two-port.json") == 0) {
			snprintf(path, sizeof(path), "%s/subscribers.jsonl", CONFIG_EXAMPLES);
			CU_ASSERT_STRING_EQUAL(config->subscribers.file, path);
		}
		config_free(config);
	}
}

static void test_unreadable(void)
{
	static const struct {
		const char *path, *reason;
		int error;
	} rows[] = {
		{ "/nonexistent/x.json", "No such file or directory", ENOENT },
		{ "/", "Is a directory", EISDIR },
		{ "/dev/zero", "File too large", EFBIG },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char *errors, wanted[256];
		size_t len;
		FILE *err = open_memstream(&errors, &len);

		CU_ASSERT_PTR_NULL(config_load(rows[i].path, err));
		CU_ASSERT_EQUAL(errno, rows[i].error);
		fclose(err);
		snprintf(wanted, sizeof(wanted),
			"%s: cannot be read: %s (allowed: a file of at most 16777216 bytes)\n",
			rows[i].path, rows[i].reason);
		CU_ASSERT_STRING_EQUAL(errors, wanted);
		free(errors);
	}
}

static void test_diff(void)
{
	static const struct {
		const char *from, *to;
		const char *restart, *live;
	} rows[] = {
		{ "{" PORTS "}", "{" PORTS "}", "", "" },
		{ "{" PORTS ",'//':1}",
			"{'home_networks':[],'bgp':{},'control':{'durability':'sync'}," PORTS "}",
			"", "" },
		{ WITH_DATAPLANE("'idle':'auto'"), WITH_DATAPLANE("'idle':'spin'"),
			"dataplane.idle: restart unwired-dataplane\n", "" },
		{ WITH_PORT("'mtu':1500"), WITH_PORT("'queues':1"),
			"dataplane.ports[0].queues: restart unwired-dataplane\n"
			"dataplane.ports[0].mtu: restart unwired-dataplane\n",
			"" },
		{ "{" PORTS "}",
			"{'dataplane':{'ports':[" PORT ",{'name':'q','device':'e'}]},"
			"'control':{'durability':'relaxed'}}",
			"dataplane.ports[1]: restart unwired-dataplane\n"
			"control.durability: restart unwired-control\n",
			"" },
		{ WITH_HOME("'max_lifetime_s':420"),
			WITH_HOME("'max_lifetime_s':40,'prefix_deprecated':true"), "",
			"home_networks[0].max_lifetime_s\nhome_networks[0].prefix_deprecated\n" },
		{ "{" PORTS "}", "{" PORTS ",'home_networks':[{" HOME_IPSEC "}]}",
			"dataplane.max_sas: restart unwired-dataplane\n", "home_networks[0]\n" },
		{ WITH_DATAPLANE("'max_sas':65536"),
			"{'dataplane':{'ports':[" PORT "]},'home_networks':[{" HOME_IPSEC "}]}",
			"dataplane.max_sas: restart unwired-dataplane\n", "home_networks[0]\n" },
		{ WITH_HOME("'max_lifetime_s':40"), WITH_TOP("'subscribers':{'file':'s'}"), "",
			"home_networks[0]\nsubscribers.file\n" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct config *from = parse_right(rows[i].from), *to = parse_right(rows[i].to);
		char *restart, *live;
		size_t restart_len, live_len;
		FILE *restart_out = open_memstream(&restart, &restart_len);
		FILE *live_out = open_memstream(&live, &live_len);
		unsigned int n = config_diff(from, to, restart_out, live_out), lines = 0;

		CU_ASSERT_EQUAL(config_diff(from, to, NULL, NULL), n);
		fclose(restart_out);
		fclose(live_out);
		CU_ASSERT_STRING_EQUAL(restart, rows[i].restart);
		CU_ASSERT_STRING_EQUAL(live, rows[i].live);
		for (const char *c = restart; *c != '\0'; c++)
			lines += *c == '\n';
		CU_ASSERT_EQUAL(n, lines);
		free(restart);
		free(live);
		config_free(from);
		config_free(to);
	}
}

// The table itself: every default is one that the same row accepts, and says something.
static void test_table(void)
{
	for (const struct key *key = key_table; key->path != NULL; key++) {
		char allowed[KEY_TEXT_MAX];

		CU_ASSERT_TRUE(strlen(key_allowed(key, allowed)) > 0);
		CU_ASSERT_TRUE(strlen(allowed) < KEY_TEXT_MAX - 1);
		CU_ASSERT_TRUE(key->help != NULL);
		CU_ASSERT_FALSE(
			key->is_required && (key->fallback != NULL || key->fallback_note != NULL));
		for (const struct key *other = key_table; other != key; other++)
			CU_ASSERT_STRING_NOT_EQUAL(other->path, key->path);
	}
}

int main(void)
{
	CU_TestInfo tests[] = {
		{ "errors in the document", test_document },
		{ "errors in the dataplane's keys", test_dataplane },
		{ "errors in ports", test_ports },
		{ "errors in home networks", test_networks },
		{ "errors between home networks", test_between_networks },
		{ "telemetry address", test_telemetry },
		{ "defaults", test_defaults },
		{ "values", test_values },
		{ "authentication ipsec", test_ipsec },
		{ "capacity of all networks together", test_capacity },
		{ "examples", test_files },
		{ "files that cannot be read", test_unreadable },
		{ "differences", test_diff },
		{ "key table", test_table },
		CU_TEST_INFO_NULL,
	};

	return suite_run("config", tests);
}
