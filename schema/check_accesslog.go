package schema

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// accessLogs: Envoy refuses the whole listener for a format that it does not
// know.
func accessLogs(res Resource, report func(path, what, fix string)) {
	var l *Logging
	switch r := res.(type) {
	case *VirtualNode:
		l = r.Spec.Logging
	case *VirtualGateway:
		l = r.Spec.Logging
	}
	if l == nil || l.AccessLog == nil || l.AccessLog.File == nil || l.AccessLog.File.Format == nil {
		return
	}
	const path = "spec.logging.accessLog.file.format"
	f := l.AccessLog.File.Format
	if what, fix := badFormat(f.Text); what != "" {
		report(path+".text", what, fix)
	}
	for i, pair := range f.JSON {
		if what, fix := badFormat(pair.Value); what != "" {
			report(fmt.Sprintf("%s.json[%d].value", path, i), what, fix)
		}
	}
}

// operator is what Envoy takes for a command operator
// (source/common/formatter/substitution_format_utility.cc).
var operator = regexp.MustCompile(`^%([A-Z0-9_]+)(?:\((.*?)\))?(?::([0-9]{1,9}))?%`)

// badFormat says what is wrong with the first command operator of a format that
// Envoy would refuse, and what to do; nothing if there is none.
func badFormat(format string) (what, fix string) {
	for {
		at := strings.IndexByte(format, '%')
		if at < 0 {
			return "", ""
		}
		format = format[at:]
		if strings.HasPrefix(format, "%%") {
			format = format[2:]
			continue
		}
		m := operator.FindStringSubmatch(format)
		if m == nil {
			return quote(format) + " begins with no command operator of Envoy", "write it as %NAME%, %NAME(ARGUMENT)% or %NAME(ARGUMENT):LENGTH%, or %% for a percent sign"
		}
		all, name, argument, length := m[0], m[1], m[2], m[3]
		op, known := operators()[name]
		switch {
		case !known:
			fix = "Envoy's documentation lists them (Substitution Formatter)"
			if near := nearest(name, operatorNames()); near != "" {
				fix = "did you mean " + near + "?"
			}
			return quote(all) + " is no command operator of Envoy", fix
		case op.argument == never && argument != "":
			return quote(all) + ": " + name + " takes no argument", "write %" + name + "%"
		case op.argument == must && argument == "":
			return quote(all) + ": " + name + " needs an argument", "write %" + name + "(ARGUMENT)%"
		case !op.length && length != "":
			return quote(all) + ": " + name + " takes no length", "remove :" + length
		case argument != "" && op.form != nil && !op.form.MatchString(argument),
			name == "COALESCE" && !json.Valid([]byte(argument)),
			strings.Contains(name, "_TIME") && timeNewline.MatchString(argument):
			return quote(all) + ": " + quote(argument) + " is no argument of " + name, "Envoy's documentation has them (Substitution Formatter)"
		}
		format = format[len(all):]
	}
}

// timeNewline is a line break in a format of times, which Envoy refuses.
var timeNewline = regexp.MustCompile(`%[-_0^#]*[1-9]*(E|O)?n`)

// operatorRow is a group of command operators that take the same.
type operatorRow struct {
	names    string
	argument takes
	length   bool           // a length may be given
	form     *regexp.Regexp // of the argument, as far as it is known; nil: any
}

type takes uint8

const (
	never takes = iota
	may
	must
)

var headerArgument = regexp.MustCompile("^:?[-!#$%&'*+.^_`|~0-9A-Za-z]*(\\?:?[-!#$%&'*+.^_`|~0-9A-Za-z]*)?$")

// operatorRows are the command operators of Envoy 1.40, and what it lets each
// take. A case that a real Envoy reads has every one.
var operatorRows = []operatorRow{
	{`
		ACCESS_LOG_TYPE BYTES_RECEIVED BYTES_RETRANSMITTED BYTES_SENT CONNECTION_ID CONNECTION_TERMINATION_DETAILS CUSTOM_FLAGS
		DOWNSTREAM_CX_RTT DOWNSTREAM_DECOMPRESSED_HEADER_BYTES_RECEIVED DOWNSTREAM_DECOMPRESSED_HEADER_BYTES_SENT
		DOWNSTREAM_DETECTED_CLOSE_TYPE DOWNSTREAM_DIRECT_LOCAL_ADDRESS DOWNSTREAM_DIRECT_LOCAL_ADDRESS_ENDPOINT_ID
		DOWNSTREAM_DIRECT_LOCAL_PORT DOWNSTREAM_DIRECT_REMOTE_ADDRESS DOWNSTREAM_DIRECT_REMOTE_PORT DOWNSTREAM_HANDSHAKE_DURATION
		DOWNSTREAM_HEADER_BYTES_RECEIVED DOWNSTREAM_HEADER_BYTES_SENT DOWNSTREAM_LOCAL_ADDRESS DOWNSTREAM_LOCAL_ADDRESS_ENDPOINT_ID
		DOWNSTREAM_LOCAL_CLOSE_REASON DOWNSTREAM_LOCAL_DNS_SAN DOWNSTREAM_LOCAL_EMAIL_SAN DOWNSTREAM_LOCAL_IP_SAN
		DOWNSTREAM_LOCAL_OTHERNAME_SAN DOWNSTREAM_LOCAL_PORT DOWNSTREAM_LOCAL_SUBJECT DOWNSTREAM_LOCAL_URI_SAN DOWNSTREAM_PEER_CERT
		DOWNSTREAM_PEER_CHAIN_FINGERPRINTS_1 DOWNSTREAM_PEER_CHAIN_FINGERPRINTS_256 DOWNSTREAM_PEER_CHAIN_SERIALS DOWNSTREAM_PEER_DNS_SAN
		DOWNSTREAM_PEER_EMAIL_SAN DOWNSTREAM_PEER_FINGERPRINT_1 DOWNSTREAM_PEER_FINGERPRINT_256 DOWNSTREAM_PEER_IP_SAN
		DOWNSTREAM_PEER_ISSUER DOWNSTREAM_PEER_ISSUER_FINGERPRINT_256 DOWNSTREAM_PEER_ISSUER_SERIAL DOWNSTREAM_PEER_OTHERNAME_SAN
		DOWNSTREAM_PEER_SERIAL DOWNSTREAM_PEER_SUBJECT DOWNSTREAM_PEER_URI_SAN DOWNSTREAM_REMOTE_ADDRESS DOWNSTREAM_REMOTE_PORT
		DOWNSTREAM_TLS_CIPHER DOWNSTREAM_TLS_GROUP DOWNSTREAM_TLS_SESSION_ID DOWNSTREAM_TLS_VERSION DOWNSTREAM_TRANSPORT_FAILURE_REASON
		DOWNSTREAM_WIRE_BYTES_RECEIVED DOWNSTREAM_WIRE_BYTES_SENT DURATION FILTER_CHAIN_NAME GRPC_STATUS_NUMBER HOSTNAME LOCAL_REPLY_BODY
		PROTOCOL REQUEST_DURATION REQUEST_HEADERS_BYTES REQUEST_TX_DURATION RESPONSE_CODE RESPONSE_DURATION RESPONSE_FLAGS
		RESPONSE_FLAGS_LONG RESPONSE_HEADERS_BYTES RESPONSE_TRAILERS_BYTES RESPONSE_TX_DURATION ROUTE_NAME ROUTE_RESOLUTION_COUNT
		ROUTE_RESOLUTION_TIME_US SPAN_ID STREAM_ID TLS_JA3_FINGERPRINT TLS_JA4_FINGERPRINT TRACE_ID UNIQUE_ID UPSTREAM_CLUSTER
		UPSTREAM_CLUSTER_RAW UPSTREAM_CONNECTION_ID UPSTREAM_CONNECTION_IDS_ATTEMPTED UPSTREAM_CONNECTION_POOL_READY_DURATION
		UPSTREAM_DECOMPRESSED_HEADER_BYTES_RECEIVED UPSTREAM_DECOMPRESSED_HEADER_BYTES_SENT UPSTREAM_DETECTED_CLOSE_TYPE
		UPSTREAM_HEADER_BYTES_RECEIVED UPSTREAM_HEADER_BYTES_SENT UPSTREAM_HOST UPSTREAM_HOSTS_ATTEMPTED
		UPSTREAM_HOSTS_ATTEMPTED_WITHOUT_PORT UPSTREAM_HOST_NAME UPSTREAM_HOST_NAMES_ATTEMPTED UPSTREAM_HOST_NAMES_ATTEMPTED_WITHOUT_PORT
		UPSTREAM_HOST_NAME_WITHOUT_PORT UPSTREAM_LOCAL_ADDRESS UPSTREAM_LOCAL_CLOSE_REASON UPSTREAM_LOCAL_DNS_SAN UPSTREAM_LOCAL_IP_SAN
		UPSTREAM_LOCAL_PORT UPSTREAM_LOCAL_URI_SAN UPSTREAM_PEER_CERT UPSTREAM_PEER_DNS_SAN UPSTREAM_PEER_IP_SAN UPSTREAM_PEER_ISSUER
		UPSTREAM_PEER_SUBJECT UPSTREAM_PEER_URI_SAN UPSTREAM_PROTOCOL UPSTREAM_REMOTE_ADDRESS UPSTREAM_REMOTE_ADDRESS_ENDPOINT_ID
		UPSTREAM_REMOTE_PORT UPSTREAM_REQUEST_ATTEMPT_COUNT UPSTREAM_SERVER_NAME UPSTREAM_TLS_CIPHER UPSTREAM_TLS_GROUP
		UPSTREAM_TLS_SESSION_ID UPSTREAM_TLS_VERSION UPSTREAM_TRANSPORT_FAILURE_REASON UPSTREAM_WIRE_BYTES_RECEIVED
		UPSTREAM_WIRE_BYTES_SENT VIRTUAL_CLUSTER_NAME`, never, false, nil},
	{`
		DOWNSTREAM_DIRECT_LOCAL_ADDRESS_WITHOUT_PORT DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT
		DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT UPSTREAM_LOCAL_ADDRESS_WITHOUT_PORT UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT
		RESPONSE_CODE_DETAILS`, may, false, nil},
	{`
		START_TIME START_TIME_LOCAL EMIT_TIME EMIT_TIME_LOCAL DOWNSTREAM_PEER_CERT_V_START DOWNSTREAM_PEER_CERT_V_END
		UPSTREAM_PEER_CERT_V_START UPSTREAM_PEER_CERT_V_END`, may, false, nil},
	{"GRPC_STATUS", may, false, regexp.MustCompile(`^(CAMEL_STRING|SNAKE_STRING|NUMBER)$`)},
	{"REQUESTED_SERVER_NAME", may, false, regexp.MustCompile(`^(SNI_ONLY|SNI_FIRST|HOST_FIRST)(:(ORIG_OR_HOST|HOST|ORIG))?$`)},
	{"PATH", may, true, regexp.MustCompile(`^(WQ|NQ)(:(ORIG|PATH|ORIG_OR_PATH))?$`)},
	{"QUERY_PARAMS", may, true, regexp.MustCompile(`^(ORIG|DECODED)$`)},
	{"REQ RESP TRAILER REQUEST_HEADER RESPONSE_HEADER RESPONSE_TRAILER STREAM_INFO_REQ", must, true, headerArgument},
	{"CEL TYPED_CEL DYNAMIC_METADATA ENVIRONMENT QUERY_PARAM", must, true, nil},
	{"FILTER_STATE UPSTREAM_FILTER_STATE", must, true, regexp.MustCompile(`^[^:]+(:(PLAIN|TYPED|FIELD:.+))?$`)},
	{"METADATA", must, true, regexp.MustCompile(`^(DYNAMIC|CLUSTER|ROUTE|UPSTREAM_HOST|LISTENER|LISTENER_FILTER_CHAIN|VIRTUAL_HOST)(:|$)`)},
	{"CLUSTER_METADATA UPSTREAM_METADATA", must, false, nil},
	{"COMMON_DURATION", must, false, regexp.MustCompile(`^[^:]*:[^:]*(:(ms|us|ns))?$`)},
	{"COALESCE", must, true, regexp.MustCompile(`"operators"\s*:\s*\[\s*[^]\s]`)},
}

// operators returns the row of each command operator.
var operators = sync.OnceValue(func() map[string]*operatorRow {
	rows := map[string]*operatorRow{}
	for i := range operatorRows {
		for name := range strings.FieldsSeq(operatorRows[i].names) {
			rows[name] = &operatorRows[i]
		}
	}
	return rows
})

func operatorNames() []string { return slices.Sorted(maps.Keys(operators())) }
