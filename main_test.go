package main

import (
	"context"
	"crypto/tls"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// The first tests are about settings and what documents them. Tests of the start-up check, time limits and the shutdown
// follow, then those of the whole program, partly in a process of its own (startProgram, startProcess).

func TestSettings(t *testing.T) {
	defaults, err := loadConfig(testEnv(), testDir("", ""))
	if err != nil {
		t.Fatal(err)
	}
	testEqual(t, "defaults", *defaults, config{port: "5000", secret: "MY_SECRET",
		openviduURL: &url.URL{Scheme: "http", Host: "localhost:4443", Path: "/"}, origins: []string{"*"},
		logAttrs: defaults.logAttrs})
	long := strings.Repeat("a", 200)
	for _, tt := range []struct {
		name, env, dotenv string // lines NAME=value
		want              string // fields that differ from the defaults
	}{
		{name: ".env", dotenv: "OPENVIDU_SECRET=file", want: "secret: file\n"},
		{name: "environment", env: "OPENVIDU_SECRET=env", want: "secret: env\n"},
		{name: "environment over .env", env: "OPENVIDU_SECRET=env", dotenv: "OPENVIDU_SECRET=file",
			want: "secret: env\n"},
		{name: "IPv4 address", env: "SERVER_ADDRESS=127.0.0.1", want: "address: 127.0.0.1\n"},
		{name: "IPv6 address with a zone", env: "SERVER_ADDRESS=fe80::1%eth0", want: "address: fe80::1%eth0\n"},
		{name: "white space around a value", env: "SERVER_PORT= 80\t\r", want: "port: 80\n"},
		{name: "quotes and # in the environment", env: `OPENVIDU_SECRET="a" # b`,
			want: "secret: \"a\" # b\n"},
		{name: "empty values", env: "OPENVIDU_SECRET=\nSERVER_PORT= ",
			dotenv: "OPENVIDU_SECRET=file\nSERVER_PORT=\nOPENVIDU_TLS_SKIP_VERIFY=''",
			want:   "secret: file\n"},
		{name: "free port", env: "SERVER_PORT=0", want: "port: 0\n"},
		{name: "largest port", dotenv: "SERVER_PORT=65535", want: "port: 65535\n"},
		{name: "0 for false", dotenv: "OPENVIDU_TLS_SKIP_VERIFY=0"},
		{name: "1 for true", dotenv: "OPENVIDU_TLS_SKIP_VERIFY=1", want: "tlsSkipVerify: true\n"},
		{name: "True for true", dotenv: "OPENVIDU_TLS_SKIP_VERIFY=True", want: "tlsSkipVerify: true\n"},
		{name: "long secret", env: "OPENVIDU_SECRET=" + long, want: "secret: " + long + "\n"},
		{name: "long password", env: "API_PASSWORD=" + long, want: "password: " + long + "\n"},
		{name: "shortest password", env: "API_PASSWORD=abcdefghijklmnop", want: "password: abcdefghijklmnop\n"},
		{name: "password with all characters", dotenv: "API_PASSWORD=" + testPassword,
			want: "password: " + testPassword + "\n"},
		{name: "unusual origins",
			env:  "CORS_ALLOWED_ORIGINS=https://a:80, http://[::1]:443 ,http://[::1],capacitor://a,ionic://a,file://",
			want: "origins: [https://a:80 http://[::1]:443 http://[::1] capacitor://a ionic://a file://]\n"},
		{name: "directory", dotenv: "STATIC_DIR=.ci", want: "staticDir: .ci\n"},
		{name: "names that aren't settings", dotenv: "Z=1\nCORS_ALLOWED_ORIGIN=https://a\nZ=2\nSERVER_PORT=\n",
			want: "unknown: [CORS_ALLOWED_ORIGIN Z]\n"},
	} {
		got, err := loadConfig(testEnv(strings.Split(tt.env, "\n")...), testDir(".env", tt.dotenv))
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		got.logAttrs = defaults.logAttrs
		different := ""
		for line := range strings.Lines(testText(*got)) {
			if !strings.Contains(testText(*defaults), line) {
				different += line
			}
		}
		testEqual(t, tt.name, different, tt.want)
	}
	for _, base := range []string{"https://a", "https://a/b/openvidu/apis", "http://[::1]:65535/", "http://a:1"} {
		got, err := loadConfig(testEnv("OPENVIDU_URL="+base), testDir("", ""))
		if err != nil {
			t.Errorf("%s: %v", base, err)
			continue
		}
		testEqual(t, "URL", got.openviduURL.String(), base)
	}
}

// The log shows each setting as it is written, and where a secret comes from.
func TestLoggedSettings(t *testing.T) {
	for _, tt := range []struct{ setting, env, dotenv, want string }{
		{setting: "OPENVIDU_SECRET", want: "(default)"},
		{setting: "OPENVIDU_SECRET", dotenv: "hidden", want: "(from .env)"},
		{setting: "OPENVIDU_SECRET", dotenv: "hidden", env: "hidden", want: "(from the environment)"},
		{setting: "API_PASSWORD", want: ""},
		{setting: "API_PASSWORD", dotenv: testPassword, want: "(from .env)"},
		{setting: "CORS_ALLOWED_ORIGINS", dotenv: "'https://a, https://b'", want: "https://a, https://b"},
		{setting: "STATIC_DIR", want: ""},
	} {
		got, err := loadConfig(testEnv(tt.setting+"="+tt.env), testDir(".env", tt.setting+"="+tt.dotenv))
		if err != nil {
			t.Errorf("%v: %v", tt, err)
			continue
		}
		logged := map[any]any{}
		for pair := range slices.Chunk(got.logAttrs, 2) {
			logged[pair[0]] = pair[1]
		}
		testEqual(t, tt.setting+" in the log", logged[tt.setting], any(tt.want))
	}
}

// A mistake is reported with the setting's name, where the value comes from and what is wrong, but without a value
// that may be secret.
func TestInvalidSettings(t *testing.T) {
	const (
		noURL    = "must be an http or https URL with a host, such as http://localhost:4443/"
		noOrigin = "must be an origin such as https://example.com, in lower case, " +
			"without a path, a trailing slash or the default port"
	)
	for _, tt := range []struct {
		setting string
		values  []string
		want    string
	}{
		{"SERVER_ADDRESS", []string{"localhost", "127.0.0.1:5000", "[::1]", "127.0.0", "0.0.0.0/0", "*"},
			"must be an IP address, such as 127.0.0.1"},
		{"SERVER_PORT", []string{"65536", "http", "-1", "+1", "80:80", "0x1388", "1_0"},
			"must be a number from 0 to 65535"},
		{"OPENVIDU_URL", []string{"localhost:4443", "http://:4443/", "//a", "ftp://a", "http://a:hidden@ b"}, noURL},
		{"OPENVIDU_URL", []string{"http://a:hidden@b", "http://hidden@b", "http://a:1/hidden@b", "http://a?hidden",
			"http://a/?", "http://a/#hidden"}, "must not include @ (credentials), a query or a fragment"},
		{"OPENVIDU_URL", []string{"http://a/openvidu/api", "http://a/openvidu/api/",
			"http://a/b/openvidu/api/sessions"}, "must not include /openvidu/api"},
		{"OPENVIDU_URL", []string{"http://localhost:44433333", "https://[::1]:65536/", "http://localhost:0",
			"http://localhost:00"},
			"the port must be from 1 to 65535, without leading zeros"},
		{"OPENVIDU_TLS_SKIP_VERIFY", []string{"yes", "on"}, "must be true or false"},
		{"API_PASSWORD", []string{"hidden-hidden-h", "=hidden-hidden-hidden", "hidden-hidden-=-hidden",
			"hidden hidden hidden", "hidden-hidden-hidden!", "hidden-hidden-hiddén"},
			"must have at least 16 characters: A-Z, a-z, 0-9 and -._~+/, optionally followed by ="},
		{"CORS_ALLOWED_ORIGINS", []string{"*,https://a", "https://a,*"}, `"*": * can only be the whole value`},
		{"CORS_ALLOWED_ORIGINS", []string{"https://a,", ",https://a"}, `"" ` + noOrigin},
		{"CORS_ALLOWED_ORIGINS", []string{"https://*.a"}, `"https://*.a": * can only be the whole value`},
		{"CORS_ALLOWED_ORIGINS", []string{"https://a/,https://b", "https://b, https://a/"}, `"https://a/" ` + noOrigin},
	} {
		for _, value := range tt.values {
			_, err := loadConfig(testEnv(tt.setting+"="+value), testDir("", ""))
			testEqual(t, tt.setting+"="+value, fmt.Sprint(err), tt.setting+" (from the environment): "+tt.want)
		}
	}
	for _, origin := range []string{"null", "example.com", "localhost:8080", "https://A", "HTTPS://a", "https://a/b",
		"https://a?b", "https://a#b", "https://b@a", "http://a:80", "https://a:443", "https://a https://b",
		"https://a;https://b", "https://[::1", "https://", "https://localhost:", "http://:8080", "http://a:0",
		"http://a:0080", "http://a:99999"} {
		_, err := loadConfig(testEnv("CORS_ALLOWED_ORIGINS="+origin), testDir("", ""))
		testEqual(t, "CORS_ALLOWED_ORIGINS="+origin, fmt.Sprint(err),
			fmt.Sprintf("CORS_ALLOWED_ORIGINS (from the environment): %q %s", origin, noOrigin))
	}
	_, err := loadConfig(testEnv("API_PASSWORD=hidden-hidden-hidden"),
		testDir(".env", "OPENVIDU_SECRET=hidden-hidden-hidden"))
	testEqual(t, "API_PASSWORD is OPENVIDU_SECRET", fmt.Sprint(err), "API_PASSWORD must "+
		"differ from OPENVIDU_SECRET, which participants must not know")
	for _, dir := range []string{"nowhere", "go.mod"} {
		_, err := loadConfig(testEnv("STATIC_DIR="+dir), testDir("", ""))
		testMatch(t, "STATIC_DIR="+dir, fmt.Sprint(err),
			`^STATIC_DIR \(from the environment\): must be a directory: open `+dir+": .+$")
	}

	// All mistakes are reported at once.
	_, err = loadConfig(testEnv("SERVER_PORT=x", "OPENVIDU_URL=x"),
		testDir(".env", "x\n#\ny\nOPENVIDU_TLS_SKIP_VERIFY=x"))
	testEqual(t, "several mistakes", fmt.Sprint(err), ".env:1: must be NAME=VALUE\n.env:3: must be NAME=VALUE\n"+
		"SERVER_PORT (from the environment): must be a number from 0 to 65535\n"+
		"OPENVIDU_URL (from the environment): "+noURL+"\n"+
		"OPENVIDU_TLS_SKIP_VERIFY (from .env): must be true or false")
	_, err = loadConfig(testEnv(), testNoPermission{})
	testEqual(t, ".env that may not be read", fmt.Sprint(err), "open .env: permission denied")
	_, err = loadConfig(testEnv("SERVER_PORT=x"), testDir(".env/a", ""))
	testMatch(t, ".env is a directory", fmt.Sprint(err),
		`^.*\.env.*\nSERVER_PORT \(from the environment\): .*$`)
}

// testNoPermission is a directory whose files may not be read.
type testNoPermission struct{}

func (testNoPermission) Open(name string) (fs.File, error) {
	return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrPermission}
}

func TestDotenv(t *testing.T) {
	const (
		quoting = ".env:1: invalid quoting: put the value in single or double quotes, whichever it doesn't contain"
		noPair  = ".env:1: must be NAME=VALUE"
		noUTF8  = ".env must be UTF-8"
	)
	for _, tt := range []struct {
		want  string // the secret or the error
		texts []string
	}{
		{"a", []string{"OPENVIDU_SECRET=a", "\ufeffOPENVIDU_SECRET=a", "\r\n#\r\nOPENVIDU_SECRET=a\r\n \r\n",
			"export OPENVIDU_SECRET=a", "\n  \n# x\n  # OPENVIDU_SECRET=b\nOPENVIDU_SECRET=a",
			"  export\tOPENVIDU_SECRET = a  ",
			"other.name-1=x\nOPENVIDU_SECRET=a", "OPENVIDU_SECRET=b\nOPENVIDU_SECRET=a", "OPENVIDU_SECRET=a # b",
			"OPENVIDU_SECRET=a\t# b", "OPENVIDU_SECRET=a #", "OPENVIDU_SECRET=a # b # c", "OPENVIDU_SECRET='a'# b",
			`OPENVIDU_SECRET = "a" # "b"`}},
		{"a b", []string{"OPENVIDU_SECRET =\ta b "}},
		{"a=b==", []string{"OPENVIDU_SECRET=a=b=="}},
		{"a# b", []string{"OPENVIDU_SECRET=a# b", "OPENVIDU_SECRET=a# b # c"}},
		{"#b", []string{"OPENVIDU_SECRET=#b"}},
		{"$a${b}", []string{"OPENVIDU_SECRET=$a${b}"}},
		{"a\"b'", []string{"OPENVIDU_SECRET=a\"b'"}},
		{"a # b", []string{`OPENVIDU_SECRET="a # b"`}},
		{"it's", []string{`OPENVIDU_SECRET="it's"`, "OPENVIDU_SECRET=it's"}},
		{` a "b" `, []string{`OPENVIDU_SECRET=' a "b" ' # c`}},
		{`a\n$b`, []string{`OPENVIDU_SECRET="a\n$b"`}},
		{"MY_SECRET", []string{"OPENVIDU_SECRET=", "OPENVIDU_SECRET= # b", "OPENVIDU_SECRET=\t# b",
			`OPENVIDU_SECRET=""`,
			"OPENVIDU_SECRET=a\nOPENVIDU_SECRET="}},
		{noPair, []string{"hidden", "=hidden", "export", "OPENVIDU_SECRET hidden=a", "OPENVIDU_SECRET:hidden=a",
			`"OPENVIDU_SECRET"=hidden`}},
		{quoting, []string{`OPENVIDU_SECRET="hidden`, `OPENVIDU_SECRET='hidden"`, "OPENVIDU_SECRET='",
			`OPENVIDU_SECRET="hidden" a`,
			`OPENVIDU_SECRET="p"hidden"`, `OPENVIDU_SECRET=" # hidden`}},
		{noUTF8, []string{"\xff\xfeO\x00=\x00a\x00\n\x00b\x00", "\xfe\xff\x00O\x00=\x00a",
			"OPENVIDU_SECRET=hidden\xfc"}},
	} {
		for _, text := range tt.texts {
			cfg, err := loadConfig(testEnv(), testDir(".env", text))
			if err != nil {
				testEqual(t, text, err.Error(), tt.want)
			} else {
				testEqual(t, text, cfg.secret, tt.want)
			}
		}
	}
}

// -h, .env.example and the README state the same settings and defaults. All examples of settings in .env.example and
// the documents are valid.
func TestDocumentedSettings(t *testing.T) {
	var usage strings.Builder
	printUsage(&usage)
	example := testRead(t, ".env.example")
	readme, deployment := testRead(t, "README.md"), testRead(t, "docs/deployment.md")
	plain := strings.ReplaceAll(regexp.MustCompile(`\[([^\]]*)\]\([^)]*\)`).ReplaceAllString(readme, "$1"), "`", "")
	elsewhere := strings.NewReplacer("=/frontend", "=.", "=../openvidu-tutorials/openvidu-js/web", "=.",
		"=../my-frontend", "=.", "API_PASSWORD=REPLACE_THIS", "API_PASSWORD=abcdefghijklmnop")
	var names []string
	for _, s := range settings {
		names = append(names, s.name)
		usageDefault, cell := s.defaultValue, "`"+s.defaultValue+"`"
		if s.defaultValue == "" {
			usageDefault, cell = "empty", "empty"
		}
		testContains(t, "-h", usage.String(), fmt.Sprintf("  %-24s  %s (default %s)\n", s.name, s.usage, usageDefault))
		testContains(t, ".env.example", example, "\n"+s.name+"="+s.defaultValue+"\n")
		testContains(t, "README.md", readme, "\n| `"+s.name+"` | "+cell+" |")
		testContains(t, "README.md, without markup", plain, "\n| "+s.name+" | "+usageDefault+" | "+s.usage)
		for _, setting := range testFind(example+readme+deployment, "("+s.name+"=[^\\s`]+)") {
			// Compose's ${NAME} becomes a text that is long enough for a password.
			expanded := os.Expand(setting, func(string) string { return "abcdefghijklmnop" })
			if _, err := loadConfig(testEnv(elsewhere.Replace(expanded)), testDir("", "")); err != nil {
				t.Errorf("%s: %v", setting, err)
			}
		}
	}
	names = append(names, "SSL_CERT_FILE", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "CGO_ENABLED") // Go's
	others := append(names, "APPLICATION_SERVER_URL", "OPENVIDU_PUBLICURL", "DOMAIN_OR_PUBLIC_IP", "HTTPS_PORT",
		"CALL_SECRET", "ALLOWED_ACCESS_TO_RESTAPI", "CERTIFICATE_TYPE", "LETSENCRYPT_EMAIL", "SUPPORT_DEPRECATED_API",
		"MY_SECRET") // OpenVidu's
	for _, name := range testFind(readme+deployment, "`([A-Z]+_[A-Z_]+)[=`]") {
		if !slices.Contains(others, name) {
			t.Errorf("the documents name a setting %s", name)
		}
	}
	for _, name := range testFind(deployment, "(?m)(?: -e |^ +- |`- |^)([A-Z_]+)=") {
		if !slices.Contains(names, name) {
			t.Errorf("docs/deployment.md: %s is not a setting", name)
		}
	}
	testContains(t, ".gitignore", testRead(t, ".gitignore"), "\n.env\n")
	want, _ := loadConfig(testEnv(), testDir("", ""))
	got, err := loadConfig(testEnv(), testDir(".env", example))
	if err != nil {
		t.Fatalf(".env.example: %v", err)
	}
	got.logAttrs = want.logAttrs
	testEqual(t, "settings of .env.example", *got, *want)
}

// The documents agree with what can be derived from the program: links, statuses, messages and versions.
func TestDocuments(t *testing.T) {
	readme, deployment := testRead(t, "README.md"), testRead(t, "docs/deployment.md")
	anchors := func(document string) []string {
		var all []string
		for _, heading := range testFind(document, `(?m)^#+ (.+)$`) {
			anchor := regexp.MustCompile(`[^\w -]`).ReplaceAllString(strings.ToLower(heading), "")
			all = append(all, strings.ReplaceAll(anchor, " ", "-"))
		}
		return all
	}
	for _, link := range testFind(readme, `\]\(([\w./]+)[#)]`) { // not https://…
		testRead(t, link)
	}
	for _, link := range testFind(deployment, `\]\(([\w./]+)[#)]`) {
		testRead(t, "docs/"+link)
	}
	for _, links := range []struct{ from, to, document, prefix string }{
		{from: "README.md", to: "README.md", document: readme, prefix: ""},
		{from: "README.md", to: "docs/deployment.md", document: readme, prefix: "docs/deployment.md"},
		{from: "docs/deployment.md", to: "docs/deployment.md", document: deployment, prefix: ""},
		{from: "docs/deployment.md", to: "README.md", document: deployment, prefix: "../README.md"},
	} {
		found := testFind(links.document, `\]\(`+regexp.QuoteMeta(links.prefix)+`#([^)]*)\)`)
		if len(found) == 0 {
			t.Errorf("%s has no links to headings of %s", links.from, links.to)
		}
		for _, link := range found {
			if !slices.Contains(anchors(testRead(t, links.to)), link) {
				t.Errorf("%s: no heading for the link #%s to %s", links.from, link, links.to)
			}
		}
	}

	// The table of statuses has one for each message but 499, and net/http's 405.
	statuses := []string{"405"}
	for _, message := range testMessages {
		if status := message[:3]; status != "499" && !slices.Contains(statuses, status) {
			statuses = append(statuses, status)
		}
	}
	slices.Sort(statuses)
	testEqual(t, "README.md: table of statuses", testFind(readme, `(?m)^\| (\d{3}) \|`), statuses)
	testEqual(t, "README.md: table of requests", testFind(readme, "\n\\| `(\\w+ /api/[^`]*)` \\|"), testRoutes)

	_, troubleshooting, _ := strings.Cut(readme, "\n## Troubleshooting\n")
	troubleshooting, _, _ = strings.Cut(troubleshooting, "\n## ")
	// The last ones come from browsers, net/http, nginx and OpenVidu.
	known := strings.Join(testMessages, "\n") + testRead(t, "public/index.html") + "origin_not_allowed, " +
		"Failed to fetch, Failed to construct 'WebSocket', Failed to parse URL, NotFoundError, NotAllowedError, " +
		"TypeError, 404 page not found, Method Not Allowed, 413, 429, 502, 503, 504, Status 401, localhost, null, " +
		`"status":401`
	symptoms := strings.Join(testFind(troubleshooting, `(?m)^\| ([^|]+) \|`), "\n")
	for _, text := range testFind(symptoms, "`([^`]+)`") {
		testContains(t, "what the program, the page, browsers and net/http say", known, strings.TrimSuffix(text, "…"))
	}
	version := testFind(testRead(t, "public/index.html"), `openvidu-browser@([\d.]+)/`)[0]
	testEqual(t, "versions of OpenVidu in the quick start and of the tutorials",
		testFind(readme, `(?:openvidu-dev:|version=| -b v)([\d.]+)`), []string{version, version, version})
	testEqual(t, "status of requests that exceed the limit of the proxy",
		testFind(deployment+readme, "(?:limit_req_status |`413` or `)(\\d+)"), []string{"429", "429"})
	for _, path := range testFind(readme+deployment, `https?://(?:localhost:5000|calls\.\S+?)(/api/[\w/]+)`) {
		testContains(t, "routes", strings.ReplaceAll(strings.Join(testRoutes, "\n")+"\n", "{sessionId}", "SessionA"),
			"POST "+path+"\n")
	}
	ports := testFind(deployment, `127\.0\.0\.1:(\d+)`)
	slices.Sort(ports)
	testEqual(t, "ports of this server in docs/deployment.md", slices.Compact(ports), []string{"5000", "5001"})
	version = testFind(testRead(t, "go.mod"), `\ngo (\d+\.\d+)`)[0]
	testEqual(t, "versions of Go in the documents", testFind(readme+deployment, `(?:/dl/\) |golang:)([\d.]+\d)`),
		[]string{version, version})
}

// These are the limits of the program, and what the documents say about them. Other tests use the constants.
func TestLimits(t *testing.T) {
	documents := testRead(t, "README.md") + testRead(t, "docs/deployment.md")
	documents = strings.Join(strings.Fields(documents), " ") // wrapped in another way
	server := newServer(nil, slog.New(slog.DiscardHandler))
	transport := newOpenVidu(&url.URL{}, "", false).client.Transport.(*http.Transport)
	for _, tt := range []struct {
		name       string
		got, want  any
		documented string
	}{
		{name: "time for a header", got: headerTimeout, want: 5 * time.Second},
		{name: "time for a request", got: readTimeout, want: 10 * time.Second,
			documented: "| 408 | The body didn't arrive within 10 s of the request's start. |"},
		{name: "time for OpenVidu", got: maxWait, want: 30 * time.Second,
			documented: "| 504 | OpenVidu didn't respond within 30 s. |"},
		{name: "time to stop", got: requestTimeout, want: 50 * time.Second,
			documented: "this server waits up to 50 s for the requests in flight"},
		{name: "time to stop for systemd", got: requestTimeout, want: 50 * time.Second,
			documented: " TimeoutStopSec=50 "},
		{name: "time to stop for Docker", got: requestTimeout, want: 50 * time.Second,
			documented: " --stop-timeout 50 "},
		{name: "time to stop for Compose", got: requestTimeout, want: 50 * time.Second,
			documented: "stop_grace_period: 50s"},
		{name: "time for a file", got: fileTimeout, want: 10 * time.Minute},
		{name: "time until the next check", got: checkInterval, want: 5 * time.Second},
		{name: "time for a connection", got: connectTimeout, want: 5 * time.Second},
		{name: "idle connections of clients", got: idleTimeout, want: 3 * time.Minute},
		{name: "idle connections to OpenVidu", got: maxIdle, want: 30 * time.Second}, // OpenVidu's limit is 60 s
		{name: "connections to OpenVidu", got: maxRequests, want: 32},
		{name: "body", got: maxBody, want: 100 << 10, documented: "is an optional JSON object of at most 100 KiB."},
		{name: "too large a body", got: maxBody, want: 100 << 10, documented: "| 413 | The body exceeds 100 KiB. |"},
		{name: "response's body", got: maxResponse, want: 1 << 20},
		{name: "header", got: server.MaxHeaderBytes, want: 16 << 10},
		{name: "response's header", got: transport.MaxResponseHeaderBytes, want: int64(64 << 10)},
		{name: "session ID", got: maxSessionID, want: 1000},
	} {
		testEqual(t, tt.name, tt.got, tt.want)
		testContains(t, "README.md and docs/deployment.md", documents, tt.documented)
	}
}

// With responses recorded from OpenVidu, the commands of the README's quick start print the output shown there.
func TestQuickStart(t *testing.T) {
	_, quickStart, _ := strings.Cut(testRead(t, "README.md"), "\n## Quick start\n")
	quickStart, _, _ = strings.Cut(quickStart, "\n## ")
	pattern := regexp.MustCompile(`\n    curl -w "\\n" (?:-X POST|-d "(.*)") http://localhost:5000(/\S+)`)
	testBubble(t, func(t *testing.T) {
		s := startTest(t, fakeRecorded)
		var output string
		for _, command := range pattern.FindAllStringSubmatch(quickStart, -1) {
			response := s.send(t, "POST "+command[2], strings.ReplaceAll(command[1], `\"`, `"`),
				"Content-Type: application/x-www-form-urlencoded") // curl's
			output += "    " + response[strings.LastIndex(response, "\n")+1:] + "\n"
		}
		testEqual(t, "requests to OpenVidu", s.openvidu.received(),
			wantForwarded(testSessions, testSessionA)+
				wantReceived("POST /openvidu/api/sessions/SessionA/connection", "{}", "Cookie: "+testCookie))
		testContains(t, "README.md", quickStart, "\n\n"+output)
		testContains(t, "README.md", quickStart, "`API_PASSWORD is not set`")
		testContains(t, "README.md", quickStart, "`cannot use OpenVidu yet, retrying`")
	})
}

// OpenVidu is checked until it is ready. Each check starts checkInterval after the previous one has failed. The log
// shows a reason only if it has changed.
func TestStartUpCheck(t *testing.T) {
	warning := func(want, cause string) string {
		_, text, _ := strings.Cut(want, " ")
		return fmt.Sprintf("level=WARN msg=\"cannot use OpenVidu yet, retrying\" every=%v error=%q\n",
			checkInterval, text+cause)
	}
	responses := slices.Repeat([]http.HandlerFunc{fakeResponse(503, "")}, 1000)
	responses = append(responses, fakeResponse(500, recordedHTML), fakeResponse(200, "<"),
		fakeResponse(200, "{}"), fakeResponse(201, recordedConfig), fakeResponse(403, ""), fakeResponse(401, ""),
		fakeResponse(503, ""), http.RedirectHandler("/", http.StatusMovedPermanently).ServeHTTP, fakeHang(""),
		fakeDelay(maxWait-time.Second, fakeRecorded))
	testBubble(t, func(t *testing.T) {
		start := time.Now()
		var checked []time.Duration
		s := startTest(t, func(w http.ResponseWriter, r *http.Request) {
			checked = append(checked, time.Since(start))
			responses[min(len(checked), len(responses))-1](w, r)
		})
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Hour) // more than all checks take
		defer cancel()
		logReadiness(ctx, s.ov, slog.New(slog.NewTextHandler(s.log, nil)))
		var want []time.Duration
		for i := range responses {
			want = append(want, time.Duration(i)*checkInterval)
		}
		want[len(want)-1] += maxWait // the check before it times out
		testEqual(t, "times of the checks", checked, want)
		testEqual(t, "time of the last response", time.Since(start), want[len(want)-1]+maxWait-time.Second)
		testContains(t, "requests to OpenVidu", s.openvidu.received(), wantReceived("GET /openvidu/api/config", ""))
		testEqual(t, "log", s.log.lines(),
			warning(wantFailed, ": status 503")+
				warning(wantUnexpected, ": invalid character '<' looking for beginning of value")+
				warning(wantForbidden, ": status 403")+warning(wantCredentials, ": status 401")+
				warning(wantFailed, ": status 503")+warning(wantNoAPI, ": status 301")+warning(wantTimeout, "")+
				"level=INFO msg=\"OpenVidu is ready\" version=2.31.0 OPENVIDU_PUBLICURL=http://localhost:4443\n")
	})

	type row struct {
		name     string
		openvidu http.HandlerFunc
		after    time.Duration // until the shutdown
		wantLog  string
	}
	testRows(t, []row{
		{name: "shutdown before the check", openvidu: fakeHang(""), after: 0, wantLog: ""},
		{name: "shutdown during the check", openvidu: fakeHang(""), after: time.Second, wantLog: ""},
		{name: "shutdown before the next check", openvidu: fakeResponse(401, ""),
			after: checkInterval - time.Second, wantLog: warning(wantCredentials, ": status 401")},
	}, func(t *testing.T, tt row) {
		s := startTest(t, tt.openvidu)
		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), tt.after)
		defer cancel()
		logReadiness(ctx, s.ov, slog.New(slog.NewTextHandler(s.log, nil)))
		testEqual(t, "time until the end", time.Since(start), tt.after)
		testEqual(t, "log", s.log.lines(), tt.wantLog)
	})
}

// Each step of a request has a time limit.
func TestTimeouts(t *testing.T) {
	const noResponse = "unexpected EOF"
	whole := testRequest(testSessions, "{}")
	head := strings.TrimSuffix(whole, "{}")
	logged := func(want string, duration time.Duration) string {
		return strings.Replace(wantLogLine(testSessions, want, ""), "=0s", "="+duration.String(), 1)
	}
	type row struct {
		name       string
		openvidu   http.HandlerFunc
		writes     []string      // by the client
		pause      time.Duration // between two writes
		readsAfter time.Duration // from the last write
		want       string
		wantAfter  time.Duration // from the start
		wantLog    string
	}
	testRows(t, []row{
		{name: "slow header", openvidu: fakeRecorded, writes: []string{"POST ", whole[5:]},
			pause: headerTimeout - time.Second, want: wantText("200 SessionA"), wantAfter: headerTimeout - time.Second,
			wantLog: logged("200", 0)},
		{name: "header that never ends", writes: []string{head[:len(head)-2]}, want: noResponse,
			wantAfter: headerTimeout},
		{name: "slow body and slow OpenVidu", openvidu: fakeDelay(maxWait-time.Second, fakeRecorded),
			writes: []string{head + "{", "}"}, pause: readTimeout - time.Second, want: wantText("200 SessionA"),
			wantAfter: readTimeout + maxWait - 2*time.Second,
			wantLog:   logged("200", readTimeout+maxWait-2*time.Second)},
		{name: "OpenVidu that takes microseconds", openvidu: fakeDelay(1234567*time.Microsecond, fakeRecorded),
			writes: []string{whole}, want: wantText("200 SessionA"), wantAfter: 1234567 * time.Microsecond,
			wantLog: logged("200", 1234567*time.Microsecond)},
		{name: "body that never ends", writes: []string{head + "{"}, want: wantText(wantSlowBody, "Connection: close"),
			wantAfter: readTimeout, wantLog: logged(wantSlowBody, readTimeout)},
		{name: "OpenVidu never responds", openvidu: fakeHang(""), writes: []string{whole}, want: wantText(wantTimeout),
			wantAfter: maxWait, wantLog: logged(wantTimeout, maxWait)},
		{name: "client that reads late", openvidu: fakeRecorded, writes: []string{whole},
			readsAfter: requestTimeout - time.Second, want: wantText("200 SessionA"),
			wantAfter: requestTimeout - time.Second,
			wantLog:   logged("200", 0)},
		{name: "client that reads too late", openvidu: fakeRecorded, writes: []string{whole},
			readsAfter: requestTimeout + time.Second, want: noResponse, wantAfter: requestTimeout + time.Second,
			wantLog: logged("200", 0)},
	}, func(t *testing.T, tt row) {
		s := startTest(t, tt.openvidu)
		start := time.Now()
		c := s.dial(t)
		for i, text := range tt.writes {
			if i > 0 {
				time.Sleep(tt.pause)
			}
			io.WriteString(c, text)
		}
		time.Sleep(tt.readsAfter)
		testEqual(t, "response", testReadResponse(c, "POST"), tt.want)
		testEqual(t, "time", time.Since(start), tt.wantAfter)
		synctest.Wait()
		testEqual(t, "log", s.log.lines(), tt.wantLog)
	})

	testBubble(t, func(t *testing.T) {
		s := startTest(t, fakeRecorded)
		c := s.dial(t)
		io.WriteString(c, whole)
		testEqual(t, "response", testReadResponse(c, "POST"), wantText("200 SessionA"))
		start := time.Now()
		testEqual(t, "response on an idle connection", testReadResponse(c, "POST"), noResponse)
		testEqual(t, "time until an idle connection is closed", time.Since(start), idleTimeout)
	})
}

// From the signal on, the port is closed. Shutdown waits for the longest request, and for no more than requestTimeout.
func TestShutdown(t *testing.T) {
	testBubble(t, func(t *testing.T) {
		s := startTest(t, fakeDelay(maxWait-time.Second, fakeRecorded))
		c := s.dial(t)
		request := testRequest(testSessions, "{}")
		io.WriteString(c, request[:len(request)-1])
		synctest.Wait()
		start := time.Now()
		s.stop()
		synctest.Wait()
		if _, err := s.network.dial(); err == nil {
			t.Error("the port is still open after the signal")
		}
		testEqual(t, "log after the signal", s.log.lines(),
			"level=INFO msg=\"shutting down, waiting for requests in flight\"\n")
		time.Sleep(readTimeout - time.Second)
		io.WriteString(c, "}")
		testEqual(t, "response to the longest request", testReadResponse(c, "POST"),
			wantText("200 SessionA", "Connection: close"))
		testEqual(t, "result", <-s.result, nil)
		testEqual(t, "time until the end", time.Since(start).Truncate(time.Second),
			readTimeout+maxWait-2*time.Second) // Shutdown polls twice a second
	})

	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "bundle.js"), make([]byte, 1_000_000), 0o600); err != nil {
		t.Fatal(err)
	}
	testBubble(t, func(t *testing.T) {
		s := startTest(t, nil, "STATIC_DIR="+dir)
		c := s.dial(t)
		c.SetDeadline(time.Time{})
		io.WriteString(c, testRequest("GET /bundle.js", "")) // and doesn't read the response
		synctest.Wait()
		start := time.Now()
		s.stop()
		testEqual(t, "result of a download that doesn't end", fmt.Sprint(<-s.result),
			fmt.Sprintf("requests in flight did not finish within %v: context deadline exceeded", requestTimeout))
		testEqual(t, "time of a download that doesn't end", time.Since(start), requestTimeout)
	})
}

// The log shows what net/http's server reports, and the program ends if the listener fails.
func TestListenerErrors(t *testing.T) {
	testBubble(t, func(t *testing.T) {
		s := startTest(t, nil)
		s.network.errors <- syscall.EMFILE
		s.network.errors <- errors.New("listener broken")
		testEqual(t, "result", fmt.Sprint(<-s.result), "listener broken")
		testEqual(t, "log", s.log.lines(), fmt.Sprintf("level=WARN msg=%q\n",
			fmt.Sprintf("http: Accept error: %v; retrying in 5ms", syscall.EMFILE)))
	})
}

// The program listens on all interfaces, logs its settings, checks OpenVidu, and serves the API and files.
func TestProgram(t *testing.T) {
	t.Parallel()
	f := newFake(func(w http.ResponseWriter, r *http.Request) {
		http.StripPrefix("/path", http.HandlerFunc(fakeRecorded)).ServeHTTP(w, r)
	})
	f.TLS = &tls.Config{}
	f.start(t, nil)
	s := startProgram(t, testDir(".env", "SERVER_PORT=1\nOPENVIDU_SECRET="+testSecret+"\nB=hidden\nA=\n"),
		"SERVER_PORT=0", "OPENVIDU_URL="+f.URL+"/path", "OPENVIDU_TLS_SKIP_VERIFY=true",
		"API_PASSWORD="+testPassword, "CORS_ALLOWED_ORIGINS=https://a, https://b", "STATIC_DIR=.")
	s.waitFor(t, "is ready")
	any, err := net.Listen("tcp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	any.Close()
	host, _, _ := net.SplitHostPort(any.Addr().String())
	_, port, _ := net.SplitHostPort(s.address)
	testEqual(t, "response", s.send(t, testSessions, "", "Origin: https://b", "Authorization: Bearer "+testPassword),
		wantResponse(200, "SessionA", "Access-Control-Allow-Origin: https://b",
			"Content-Type: text/plain; charset=utf-8", "Vary: Origin", "X-Content-Type-Options: nosniff"))
	testEqual(t, "status without the password", s.send(t, testSessions, "")[:3], "401")
	testMatch(t, "file", s.send(t, "GET /go.mod", ""), "(?s)^200\n.*\nVary: Origin\n.*module")
	testEqual(t, "status of a header of 64 KiB", s.send(t, "GET /", "", "A: "+strings.Repeat("a", 64<<10))[:3], "431")
	s.stop()
	testEqual(t, "result", testReceive(t, "the end of the program", s.result), nil)
	testEqual(t, "log", regexp.MustCompile(` duration=\S+`).ReplaceAllString(s.log.lines(), " duration=0s"), ""+
		"level=INFO msg=listening address="+net.JoinHostPort(host, port)+" SERVER_ADDRESS=\"\" SERVER_PORT=0 "+
		"OPENVIDU_URL="+f.URL+"/path OPENVIDU_SECRET=\"(from .env)\" OPENVIDU_TLS_SKIP_VERIFY=true "+
		"API_PASSWORD=\"(from the environment)\" CORS_ALLOWED_ORIGINS=\"https://a, https://b\" STATIC_DIR=.\n"+
		"level=WARN msg=\".env contains names that aren't settings\" names=A,B\n"+
		"level=WARN msg=\"OPENVIDU_TLS_SKIP_VERIFY is true: a man in the middle can steal the secret\"\n"+
		"level=INFO msg=\"OpenVidu is ready\" version=2.31.0 OPENVIDU_PUBLICURL=http://localhost:4443\n"+
		wantLogLine(testSessions, "200", "")+wantLogLine(testSessions, wantPassword, "")+
		wantLogLine("GET /go.mod", "200", "")+
		"level=INFO msg=\"shutting down, waiting for requests in flight\"\n")
	testMatch(t, "times in the log", s.log.text(), `^(time=\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\S+ level=.*\n)+$`)
	testEqual(t, "requests to OpenVidu, the second with the cookie of the first", f.received(),
		wantReceived("GET /path/openvidu/api/config", "")+
			wantReceived("POST /path/openvidu/api/sessions", "{}", "Cookie: "+testCookie))
}

// With SERVER_ADDRESS, the program listens at that address only. It warns whatever else is set.
func TestProgramAddress(t *testing.T) {
	t.Parallel()
	f := newFake(fakeRecorded)
	f.start(t, nil)
	s := startProgram(t, testDir("", ""), "SERVER_ADDRESS=127.0.0.1", "SERVER_PORT=0", "OPENVIDU_URL="+f.URL,
		"OPENVIDU_TLS_SKIP_VERIFY=true")
	s.waitFor(t, "API_PASSWORD is not set(?s:.*)OPENVIDU_TLS_SKIP_VERIFY is true")
	testMatch(t, "log", s.log.lines(), "^level=INFO msg=listening address="+s.address+" ")
	testEqual(t, "status at 127.0.0.1", s.send(t, testSessions, "")[:3], "200")
}

// Certificates are verified unless the setting says otherwise.
func TestProgramVerifies(t *testing.T) {
	t.Parallel()
	f := newFake(fakeRecorded)
	f.TLS = &tls.Config{}
	f.start(t, nil)
	s := startProgram(t, testDir("", ""), "SERVER_PORT=0", "OPENVIDU_URL="+f.URL)
	s.waitFor(t, "cannot verify")
	testMatch(t, "log", s.log.lines(), "^level=INFO msg=listening .*\n"+
		"level=WARN msg=\"API_PASSWORD is not set: anyone who can reach this server can join any session\"\n"+
		"level=WARN msg=\"cannot use OpenVidu yet, retrying\" .* error=\"cannot verify OpenVidu's certificate: .*\n$")
}

// This server and OpenVidu may have IPv6 addresses.
func TestProgramIPv6(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		t.Skip("this system has no IPv6: ", err)
	}
	f := newFake(fakeRecorded)
	f.start(t, listener)
	s := startProgram(t, testDir("", ""), "SERVER_ADDRESS=::1", "SERVER_PORT=0", "OPENVIDU_URL="+f.URL)
	s.waitFor(t, `address=\[::1\]:(?s:.*)is ready`)
}

// SSL_CERT_FILE adds a trusted certificate, as docs/deployment.md says. Go reads it only once, so the program runs in a
// process of its own.
func TestCertificateFile(t *testing.T) {
	if runtime.GOOS == "windows" || runtime.GOOS == "darwin" {
		t.Skip("on Windows and macOS, Go asks the system, not SSL_CERT_FILE")
	}
	t.Parallel()
	f := newFake(fakeRecorded)
	f.TLS = &tls.Config{}
	f.start(t, nil)
	file := filepath.Join(t.TempDir(), "ca.pem")
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: f.Certificate().Raw})
	if err := os.WriteFile(file, certificate, 0o600); err != nil {
		t.Fatal(err)
	}
	p := startProcess(t, "OPENVIDU_URL="+f.URL, "SSL_CERT_FILE="+file)
	p.waitFor(t, "is ready")
}

// If OpenVidu sends more than its Content-Length says, net/http would log that, with the token in it.
func TestUnsolicitedResponse(t *testing.T) {
	t.Parallel()
	closed := make(chan bool, 1)
	f := newFake(func(w http.ResponseWriter, r *http.Request) {
		fakeHang("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"+recordedConnection)(w, r)
		closed <- true
	})
	f.start(t, nil)
	startProcess(t, "OPENVIDU_URL="+f.URL) // and looks for tokens in its log
	testReceive(t, "the end of the connection", closed)
}

// The program serves while it checks OpenVidu. A shutdown cancels the check, even if the signal arrives before the
// program serves.
func TestProgramStops(t *testing.T) {
	t.Parallel()
	checking, canceled := make(chan bool, 1), make(chan bool, 1)
	f := newFake(func(w http.ResponseWriter, r *http.Request) {
		checking <- true
		<-r.Context().Done()
		canceled <- true
	})
	f.start(t, nil)
	s := startProgram(t, testDir(".env", "B=hidden"), "SERVER_PORT=0", "OPENVIDU_URL="+f.URL)
	testReceive(t, "the start-up check", checking)
	testEqual(t, "status during the check", s.send(t, "GET /", "")[:3], "200")
	s.stop()
	testReceive(t, "the cancellation of the start-up check", canceled)
	testEqual(t, "result", testReceive(t, "the end of the program", s.result), nil)
	testMatch(t, "log", s.log.lines(), `^level=INFO msg=listening .* OPENVIDU_SECRET=\(default\) .*`+
		"\nlevel=WARN msg=\".env contains names that aren't settings\" names=B"+
		"\nlevel=WARN msg=\"API_PASSWORD is not set: anyone who can reach this server can join any session\""+
		"\nlevel=INFO msg=request .*"+
		"\nlevel=INFO msg=\"shutting down, waiting for requests in flight\"\n$")

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	result := make(chan error, 1)
	go func() {
		result <- run(ctx, testEnv("SERVER_PORT=0", "OPENVIDU_URL="+f.URL), testDir("", ""), io.Discard)
	}()
	testEqual(t, "result after an early signal", testReceive(t, "the end of the program", result), nil)
}

// If the program doesn't start, it says why and exits with the right status.
func TestExit(t *testing.T) {
	t.Parallel()
	const usage = "openvidu-basic-go creates .*\n  SERVER_PORT  .*\n$"
	listener, err := net.Listen("tcp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	_, used, _ := net.SplitHostPort(listener.Addr().String())
	for _, tt := range []struct {
		arg, dotenv string
		wantStatus  int
		want        string // pattern
	}{
		{"-h", "", 0, "^" + usage},
		{"-x", "", 2, "^flag provided but not defined: -x\n" + usage},
		{"5000", "", 2, "^unexpected argument \"5000\": see -h\n$"},
		{"--", "SERVER_PORT=x", 1, `^SERVER_PORT \(from .env\): must be a number from 0 to 65535` + "\n$"},
		{"--", "SERVER_PORT=" + used, 1, "^SERVER_PORT: listen tcp :" + used + ": .*\n$"},
		// Without a zone, no host has this address.
		{"--", "SERVER_ADDRESS=fe80::1", 1, `^SERVER_ADDRESS or SERVER_PORT: listen tcp \[fe80::1\]:5000: .*` + "\n$"},
	} {
		cmd, log := testCommand(t)
		if err := os.WriteFile(filepath.Join(cmd.Dir, ".env"), []byte(tt.dotenv), 0o600); err != nil {
			t.Fatal(err)
		}
		cmd.Args = append(cmd.Args, tt.arg)
		cmd.Run()
		name := strings.TrimSpace(tt.arg + " " + tt.dotenv)
		testEqual(t, "exit status of "+name, cmd.ProcessState.ExitCode(), tt.wantStatus)
		testMatch(t, "output of "+name, log.text(), "(?s)"+tt.want)
		if t.Failed() {
			return // the others would wait, too
		}
	}
}

// The first signal shuts the program down, which finishes the request in flight; the second kills it.
func TestSignals(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows can't send these signals to another process")
	}
	t.Parallel()
	for _, tt := range []struct {
		name   string
		signal os.Signal
		twice  bool
		want   string // exit status
	}{
		{"SIGINT", os.Interrupt, false, "<nil>"},
		{"SIGTERM", syscall.SIGTERM, false, "<nil>"},
		{"SIGTERM twice", syscall.SIGTERM, true, "signal: terminated"},
	} {
		ok := t.Run(tt.name, func(t *testing.T) {
			arrived, release := make(chan bool, 1), make(chan bool)
			f := newFake(func(w http.ResponseWriter, r *http.Request) {
				if r.Method == "GET" {
					fakeRecorded(w, r)
					return
				}
				arrived <- true
				fakeAfter(release, fakeRecorded)(w, r)
			})
			f.start(t, nil)
			p := startProcess(t, "OPENVIDU_URL="+f.URL)
			response := make(chan string, 1)
			go func() { response <- p.send(t, testSessions, "") }()
			testReceive(t, "the request in flight", arrived)
			p.cmd.Process.Signal(tt.signal)
			p.waitFor(t, `msg="shutting down`)
			if tt.twice {
				// Repeat it, because the program may not have restored the default yet.
				for len(p.result) == 0 && p.cmd.Process.Signal(tt.signal) == nil {
					time.Sleep(10 * time.Millisecond)
				}
			} else {
				close(release)
				// The header Connection depends on whether the server has begun to shut down.
				got := strings.Replace(testReceive(t, "the response", response), "Connection: close\n", "", 1)
				testEqual(t, "response to the request in flight", got, wantText("200 SessionA"))
			}
			testEqual(t, "exit status", fmt.Sprint(testReceive(t, "the end of the program", p.result)), tt.want)
		})
		if !ok {
			return // the others would wait, too
		}
	}
}

// If the program that reads the log ends, as tee does on Ctrl+C, the server goes on, and shuts down as usual.
func TestLogWithoutReader(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no SIGPIPE and can't send an interrupt to another process")
	}
	t.Parallel()
	f := newFake(fakeRecorded)
	f.start(t, nil)
	p := startProcess(t, "OPENVIDU_URL="+f.URL)
	p.waitFor(t, "is ready")
	p.closeLog()
	for range 2 {
		testEqual(t, "status without a reader of the log", p.send(t, testSessions, "")[:3], "200")
	}
	p.cmd.Process.Signal(os.Interrupt)
	testEqual(t, "exit status", fmt.Sprint(testReceive(t, "the end of the program", p.result)), "<nil>")
}
