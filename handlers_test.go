package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path"
	"reflect"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/fstest"
	"time"
)

const sessionsPath, connectionsPath = "/api/sessions", "/api/sessions/SessionA/connections"

// TestMain runs the program itself if a test started this binary as the program.
func TestMain(m *testing.M) {
	if os.Getenv("OPENVIDU_TEST_MAIN") != "" {
		main()
		return
	}
	http.DefaultTransport.(*http.Transport).MaxIdleConnsPerHost = 64 // for the benchmarks
	os.Exit(m.Run())
}

// Each row is a request, OpenVidu's response (nil if OpenVidu must not be called) and what the client gets.
func TestRequests(t *testing.T) {
	const (
		notObject   = "400 request body must be a JSON object"
		notString   = "400 customSessionId must be a string"
		notFound    = "404 session not found: create it first with POST /api/sessions"
		unknownPath = "404 404 page not found"
		notAllowed  = "405 Method Not Allowed"
		tooLarge    = "413 request body exceeds 100 KiB"
		credentials = "502 OpenVidu rejected the credentials: check OPENVIDU_SECRET"
		forbidden   = "502 OpenVidu denied access: check OPENVIDU_URL and OpenVidu's ALLOWED_ACCESS_TO_RESTAPI"
		noAPI       = "502 no OpenVidu API found: check OPENVIDU_URL (http or https, host, port, without /openvidu/api)"
		notJSON     = "502 unexpected response from OpenVidu (not JSON): check OPENVIDU_URL"
		closed      = "502 OpenVidu closed the connection: check that it is running and that OPENVIDU_URL is correct"
		timedOut    = "504 OpenVidu timed out: try again"
		internal    = "500 internal server error: see the server's log"
	)
	unexpected := func(what string) string {
		return "502 unexpected response from OpenVidu (" + what + "): check OPENVIDU_URL"
	}
	chunked := "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
	spaces := func(n int) string { return strings.Repeat(" ", n) }
	checkLeaks(t)
	type test struct {
		name, request string // method, path and, optionally, body
		response      http.HandlerFunc
		want          string // status and text
	}
	tests := []test{
		{"session", `POST /api/sessions {"customSessionId":"SessionA"}`, respond(200, sessionResponse), "200 SessionA"},
		{"session without a body", `POST /api/sessions`, respond(200, sessionResponse), "200 SessionA"},
		{"session that is already open", `POST /api/sessions {"customSessionId":"SessionA"}`, respond(409, ""), "200 SessionA"},
		{"body is passed on unchanged", "POST /api/sessions  {\"a\":1e999,\t\"ключ\" :\"\\u00e9\",\"a\":12345678901234567890}\r\n", respond(200, sessionResponse), "200 SessionA"},
		{"duplicate customSessionId: the last one wins", `POST /api/sessions {"customSessionId":"A","customSessionId":"B"}`, respond(409, ""), "200 B"},
		{"escapes in the name customSessionId", `POST /api/sessions {"custom\u0053essionId":"A"}`, respond(409, ""), "200 A"},
		{"the name customSessionId is case-sensitive", `POST /api/sessions {"CustomSessionId":"A"}`, respond(409, ""), unexpected("status 409")},
		{"null as customSessionId", `POST /api/sessions {"customSessionId":null}`, respond(200, sessionResponse), "200 SessionA"},
		{"unexpected 409 for a session without customSessionId", `POST /api/sessions {"customSessionId":null}`, respond(409, ""), unexpected("status 409")},
		{"connection", `POST /api/sessions/SessionA/connections {"role":"PUBLISHER"}`, respond(200, connectionResponse), "200 " + token},
		{"connection without a body", `POST /api/sessions/SessionA/connections`, respond(200, connectionResponse), "200 " + token},
		{"connections have no customSessionId", `POST /api/sessions/SessionA/connections {"customSessionId":5}`, respond(200, connectionResponse), "200 " + token},
		{"IP camera, which needs no token", `POST /api/sessions/SessionA/connections {"type":"IPCAM"}`, respond(200, ipcamResponse), "200 "},
		{"query is neither passed on nor logged", `POST /api/sessions/ses_aB0-9/connections?a=hidden`, respond(200, connectionResponse), "200 " + token},
		{"body of 100 KiB", "POST /api/sessions/SessionA/connections {}" + spaces(maxBody-2), respond(200, connectionResponse), "200 " + token},
		{"longest session ID", "POST /api/sessions/" + strings.Repeat("a", maxSessionID) + "/connections", respond(200, connectionResponse), "200 " + token},
		{"body of 100 KiB plus one byte", "POST /api/sessions/SessionA/connections {}" + spaces(maxBody-1), nil, tooLarge},
		{"malformed JSON", "POST /api/sessions {bad", nil, notObject},
		{"JSON array", "POST /api/sessions []", nil, notObject},
		{"JSON null", "POST /api/sessions null", nil, notObject},
		{"two JSON objects", "POST /api/sessions/SessionA/connections {} {}", nil, notObject},
		{"only white space", "POST /api/sessions/SessionA/connections  \n", nil, notObject},
		{"connection body that isn't UTF-8", "POST /api/sessions/SessionA/connections {\"data\":\"\xc3\"}", nil, "400 request body must be UTF-8"},
		{"number as customSessionId", `POST /api/sessions {"customSessionId":5}`, nil, notString},
		{"array as the last customSessionId", `POST /api/sessions {"customSessionId":"A","customSessionId":[]}`, nil, notString},
		{"internal error", "POST /api/sessions", nil, internal},
		{"session ID too long for Tomcat", "POST /api/sessions/" + strings.Repeat("a", maxSessionID+1) + "/connections", nil, notFound},
		{"unknown path", "POST /api/session", nil, unknownPath},
		{"double slash", "POST /api//sessions", nil, "307 "},
		{"method not allowed", "GET /api/sessions", nil, notAllowed},
		{"OPTIONS that isn't a preflight", "OPTIONS /api/sessions", nil, notAllowed},
		{"invalid property", `POST /api/sessions/SessionA/connections {"role":"BOSS"}`, respond(400, invalidResponse), "400 Parameter role BOSS is not defined"},
		{"message of several lines", "POST /api/sessions/SessionA/connections", respond(400, `{"error":"Bad Request","message":"one\r\n\ttwo"}`), "400 one two"},
		{"400 without a message", "POST /api/sessions", respond(400, malformedResponse), "400 Bad Request"},
		{"400 from Tomcat", "POST /api/sessions", respond(400, htmlResponse), noAPI},
		{"400 from an HTTPS port", "POST /api/sessions/SessionA/connections", respond(400, "Client sent an HTTP request to an HTTPS server.\n"), noAPI},
		{"401", "POST /api/sessions", respond(401, unauthorizedResponse), credentials},
		{"401 for a connection, without a body", "POST /api/sessions/SessionA/connections", respond(401, ""), credentials},
		{"403 from OpenVidu 2.32", "POST /api/sessions", respond(403, ""), forbidden},
		{"403 from nginx", "POST /api/sessions/SessionA/connections", respond(403, htmlResponse), forbidden},
		{"unknown session", "POST /api/sessions/SessionA/connections", respond(404, ""), notFound},
		{"404 with a body for a connection", "POST /api/sessions/SessionA/connections", respond(404, notFoundResponse), noAPI},
		{"404 for a session", "POST /api/sessions", respond(404, notFoundResponse), noAPI},
		{"empty 404 for a session", "POST /api/sessions", respond(404, ""), noAPI},
		{"redirect to HTTPS", "POST /api/sessions", http.RedirectHandler("/", 301).ServeHTTP, noAPI},
		{"unexpected 409 for a connection", `POST /api/sessions/SessionA/connections {"customSessionId":"A"}`, respond(409, ""), unexpected("status 409")},
		{"500", "POST /api/sessions/SessionA/connections", respond(500, internalResponse), "502 OpenVidu failed (status 500): check that it is running and see its log"},
		{"503 from nginx", "POST /api/sessions/SessionA/connections", respond(503, htmlResponse), "502 OpenVidu failed (status 503): check that it is running and see its log"},
		{"response that isn't JSON", "POST /api/sessions", respond(200, htmlResponse), notJSON},
		{"empty response", "POST /api/sessions/SessionA/connections", respond(200, ""), notJSON},
		{"response without a session ID", "POST /api/sessions", respond(200, configResponse), unexpected("no session ID")},
		{"response without a token", "POST /api/sessions/SessionA/connections", respond(200, sessionResponse), unexpected("no token")},
		{"response of 1 MiB", "POST /api/sessions", respond(200, sessionResponse+spaces(maxResponse-len(sessionResponse))), "200 SessionA"},
		{"response of 1 MiB plus one byte", "POST /api/sessions", respond(200, sessionResponse+spaces(maxResponse+1-len(sessionResponse))), unexpected("larger than 1 MiB")},
		{"connection reset", "POST /api/sessions", reset, closed},
		{"no response", "POST /api/sessions", write(""), closed},
		{"truncated body", "POST /api/sessions", write("HTTP/1.1 200 OK\r\nContent-Length: 535\r\n\r\n" + sessionResponse[:500]), closed},
		{"invalid chunk", "POST /api/sessions", write(chunked + "x\r\n" + token), unexpected("invalid HTTP")},
		{"invalid header", "POST /api/sessions", write("HTTP/1.1 200 OK\r\nSet-Cookie " + cookie + "\r\n\r\n"), unexpected("invalid HTTP")},
		{"header of 65 KiB", "POST /api/sessions", write("HTTP/1.1 200 OK\r\nA: " + strings.Repeat("a", 65<<10) + "\r\n\r\n"), unexpected("invalid HTTP")},
		{"101 that never ends", "POST /api/sessions", hang("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"), unexpected("status 101")},
		{"500 that never ends", "POST /api/sessions", hang("HTTP/1.1 500 Internal Server Error\r\nContent-Length: 1\r\n\r\n"), "502 OpenVidu failed (status 500): check that it is running and see its log"},
		{"response that never ends", "POST /api/sessions", hang("HTTP/1.1 200 OK\r\nContent-Length: 535\r\n\r\n" + sessionResponse[:500]), timedOut},
		{"response that never starts", "POST /api/sessions", hang(""), timedOut},
	}
	for _, id := range []string{"%2e", "%2E.", "a.b", "a;b", "a%2Fb", "a%5Cb", "a%25", "a%00", "a%0A", "a%20b", "a%FF", "%C3%B3"} {
		tests = append(tests, test{"session ID " + id, "POST /api/sessions/" + id + "/connections", nil, notFound})
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			fake := startFake(t, tt.response)
			s := startServer(t, fake.URL, func(s *testServer) {
				switch tt.want {
				case timedOut:
					s.ov.timeout = 500 * time.Millisecond
				case internal:
					s.ov.api = "://"
				}
			})
			method, path, _ := strings.Cut(tt.request, " ")
			path, body, _ := strings.Cut(path, " ")
			resp, text := send(t, method, s.URL+path, body, http.Header{"Origin": {"null"}})

			check(t, "response", fmt.Sprint(resp.StatusCode, " ", strings.TrimSuffix(text, "\n")), tt.want)
			wantRequest := ""
			if tt.response != nil {
				path, _, _ := strings.Cut(path, "?")
				wantRequest = "POST /openvidu" + strings.Replace(path, "/connections", "/connection", 1) + " " + cmp.Or(body, "{}")
			}
			check(t, "request to OpenVidu", strings.Join(fake.received(), ", "), wantRequest)
			wantLog := fmt.Sprintf("msg=request method=%s path=.* status=%d duration=.*\n$", method, resp.StatusCode)
			if resp.StatusCode >= 500 {
				wantLog = "level=ERROR msg=\"request failed\" path=.* error=.*\n.* " + wantLog
			}
			if log := s.log.String(); !regexp.MustCompile("^time=.* "+wantLog).MatchString(log) || strings.Count(log, "msg=request ") != 1 {
				t.Errorf("got log\n%.2000s\nwant %s", log, wantLog)
			}
			wantHeader := map[string]string{"Access-Control-Allow-Origin": "*", "Access-Control-Allow-Credentials": "", "Set-Cookie": "", "Www-Authenticate": "",
				"Location": map[int]string{307: sessionsPath}[resp.StatusCode], "Allow": map[int]string{405: "POST"}[resp.StatusCode]}
			if resp.StatusCode != 307 {
				wantHeader["Content-Type"], wantHeader["X-Content-Type-Options"] = "text/plain; charset=utf-8", "nosniff"
			}
			checkHeader(t, resp, wantHeader)
		})
	}
}

// Requests go to the path of OpenVidu's API with the credentials and OpenVidu's cookies, but without the client's headers.
func TestOpenViduRequests(t *testing.T) {
	setCookie := []string{"", "OVJSESSIONID=1; Path=/; HttpOnly", "", "OVJSESSIONID=2; Path=/; HttpOnly", "route=a; Path=/", "OVJSESSIONID=; Path=/; Max-Age=0", ""}
	wantCookie := []string{"", "", "OVJSESSIONID=1", "OVJSESSIONID=1", "OVJSESSIONID=2", "OVJSESSIONID=2; route=a", "route=a"}
	for suffix, wantPath := range map[string]string{
		"":            "/openvidu/api",
		"/":           "/openvidu/api",
		"//":          "/openvidu/api",
		"/?":          "/openvidu/api",
		"/a/b":        "/a/b/openvidu/api",
		"/a%2Fb/?q#f": "/a%2Fb/openvidu/api",
	} {
		var i int
		fake := startFake(t, func(w http.ResponseWriter, r *http.Request) {
			if setCookie[i] != "" {
				w.Header().Set("Set-Cookie", setCookie[i])
			}
			io.WriteString(w, connectionResponse)
		})
		s := startServer(t, strings.Replace(fake.URL, "http://", "http://user:password@", 1)+suffix)
		for i = range setCookie {
			resp, text := send(t, "POST", s.URL+connectionsPath, `{"a":1}`, http.Header{"Content-Type": {"text/plain"}, "Authorization": {"Basic Zm9vOmJhcg=="},
				"Cookie": {"a=b"}, "X-Forwarded-For": {"1.2.3.4"}, "User-Agent": {"browser"}})
			check(t, "token", text, token)
			checkHeader(t, resp, map[string]string{"Set-Cookie": ""})
			r := fake.requests[i]
			check(t, "path for "+suffix, r.RequestURI, wantPath+"/sessions/SessionA/connection")
			r.Header.Del("User-Agent") // Go's own
			want := http.Header{"Authorization": {"Basic " + basic}, "Content-Type": {"application/json"}, "Content-Length": {"7"}}
			if wantCookie[i] != "" {
				want.Set("Cookie", wantCookie[i])
			}
			check(t, fmt.Sprint("header of request ", i), fmt.Sprint(r.Header), fmt.Sprint(want))
		}
	}
}

func TestCORS(t *testing.T) {
	list := []string{"https://example.com", "http://localhost:8080"}
	others := []string{"", "null", "http://example.com", "http://localhost:80", "https://example.com.evil.org", "https://a.example.com", "https://EXAMPLE.com",
		"https://example.com,http://localhost:8080"}
	type test struct {
		origins                     []string
		origin, wantAllow, wantVary string
	}
	tests := []test{{list, list[0], list[0], "Origin"}, {list, list[1], list[1], "Origin"}, {[]string{"*"}, list[0], "*", ""}}
	for _, other := range others {
		tests = append(tests, test{list, other, "", "Origin"}, test{[]string{"*"}, other, "*", ""})
	}
	for _, tt := range tests {
		t.Run(fmt.Sprintf("origin %q, allowed %q", tt.origin, tt.origins), func(t *testing.T) {
			t.Parallel()
			fake := startFake(t, respond(200, sessionResponse))
			s := startServer(t, fake.URL, func(s *testServer) { s.origins = tt.origins })
			for request, wantStatus := range map[string]string{
				"POST /api/sessions":         "200",
				"POST /nowhere":              "404",
				"OPTIONS /api/sessions":      "204",
				"OPTIONS " + connectionsPath: "204",
				"OPTIONS /nowhere":           "204",
			} {
				method, path, _ := strings.Cut(request, " ")
				header := http.Header{"Origin": {tt.origin}, "Access-Control-Request-Headers": {"content-type, x-a"}}
				want := map[string]string{"Access-Control-Allow-Origin": tt.wantAllow, "Vary": tt.wantVary, "Access-Control-Allow-Methods": ""}
				if method == "OPTIONS" {
					header["Access-Control-Request-Method"] = []string{"POST"}
					want["Access-Control-Allow-Methods"], want["Access-Control-Allow-Headers"], want["Access-Control-Max-Age"] = "POST", "content-type, x-a", "7200"
				}
				resp, text := send(t, method, s.URL+path, "", header)
				check(t, "status of "+request, resp.Status[:3], wantStatus)
				check(t, "empty text of "+request, fmt.Sprint(text == ""), fmt.Sprint(method == "OPTIONS"))
				checkHeader(t, resp, want)
			}
			check(t, "requests to OpenVidu, without preflights", strings.Join(fake.received(), ", "), "POST /openvidu/api/sessions {}")
		})
	}
}

func TestSettings(t *testing.T) {
	const (
		invalidPort    = "SERVER_PORT: must be a number from 0 to 65535"
		invalidURL     = "OPENVIDU_URL: must be an http or https URL with a host, such as http://localhost:4443/"
		invalidVerify  = "OPENVIDU_TLS_SKIP_VERIFY: must be true or false"
		invalidOrigins = "CORS_ALLOWED_ORIGINS: must be * or comma-separated origins such as https://example.com,http://localhost:8080 " +
			"(lower case, no path or trailing slash, no default port, non-ASCII hosts as xn--…); "
	)
	tests := map[string][]string{ // from expected settings or error to inputs: environment|.env
		"5000 http://localhost:4443/ MY_SECRET false [*]": {"|"},
		"0 http://localhost:4443/ MY_SECRET false [*]":    {"SERVER_PORT=0|"},
		"5000 http://localhost:4443/ env false [*]":       {"OPENVIDU_SECRET=env|", "OPENVIDU_SECRET=env|OPENVIDU_SECRET=file"},
		"5000 http://localhost:4443/ file false [*]":      {"OPENVIDU_SECRET=|OPENVIDU_SECRET=file\nSERVER_PORT=\nOPENVIDU_URL=''"},
		"65535 https://a/b MY_SECRET true [*]":            {"OPENVIDU_URL=https://a/b|SERVER_PORT=65535\nOPENVIDU_TLS_SKIP_VERIFY=1"},
		"5000 http://localhost:4443/ MY_SECRET false [https://a:80 http://[::1]:443 capacitor://a http://xn--a.b]": {
			"CORS_ALLOWED_ORIGINS=https://a:80, http://[::1]:443 ,capacitor://a,http://xn--a.b|"},
		invalidPort:                             {"SERVER_PORT=65536|", "SERVER_PORT=http|", "SERVER_PORT=-1|"},
		invalidURL:                              {"OPENVIDU_URL=localhost:4443|", "OPENVIDU_URL=http://:4443/|", "OPENVIDU_URL=//a|", "OPENVIDU_URL=ftp://a|", "OPENVIDU_URL=http://a:hidden@ b|"},
		invalidVerify:                           {"OPENVIDU_TLS_SKIP_VERIFY=yes|"},
		invalidOrigins + `"" is not an origin`:  {"CORS_ALLOWED_ORIGINS=https://a,|"},
		invalidOrigins + `"*" is not an origin`: {"CORS_ALLOWED_ORIGINS=*,https://a|"},
		".env:1: must be NAME=VALUE\n" + invalidPort + "\n" + invalidURL + "\n" + invalidVerify + "\n" + invalidOrigins + `"x" is not an origin`: {
			"|x\nSERVER_PORT=x\nOPENVIDU_URL=x\nOPENVIDU_TLS_SKIP_VERIFY=x\nCORS_ALLOWED_ORIGINS=x"},
	}
	for _, origin := range []string{"example.com", "null", "http://:80", "https://a/", "https://a/b", "https://a@b", "https://A", "https://*.a", "https://a b",
		"https://example.com:443", "http://a:80", "https://example.com:", "https://a:0443", "https://bücher.example"} {
		tests[invalidOrigins+fmt.Sprintf("%q is not an origin", origin)] = []string{"CORS_ALLOWED_ORIGINS=https://b," + origin + "|"}
	}
	for want, settings := range tests {
		for _, s := range settings {
			env, dotenv, _ := strings.Cut(s, "|")
			cfg, err := loadConfig(getenv(env), files(".env", dotenv))
			got := fmt.Sprint(cfg.port, " ", cfg.openviduURL, " ", cfg.secret, " ", cfg.tlsSkipVerify, " ", cfg.origins)
			if err != nil {
				got = err.Error()
			}
			check(t, s, got, want)
		}
	}
	if _, err := loadConfig(getenv(), files(".env/a", "")); err == nil || !strings.Contains(err.Error(), ".env") {
		t.Errorf(".env is a directory: got %v, want an error", err)
	}
}

func TestDotenv(t *testing.T) {
	const notAssignment, openQuote = ".env:1: must be NAME=VALUE", ".env:1: value must end with the quote that it starts with"
	for want, texts := range map[string][]string{
		"a": {"OPENVIDU_SECRET=a", "\ufeffOPENVIDU_SECRET=a", "OPENVIDU_SECRET=a\r\nSERVER_PORT=1\r\n", "\n  \n# x\n  # OPENVIDU_SECRET=b\nOPENVIDU_SECRET=a",
			"export OPENVIDU_SECRET=a", "  export\tOPENVIDU_SECRET = a  ", "OPENVIDU_SECRET=a # b", "OPENVIDU_SECRET='a'# b", "other.name-1=x\nOPENVIDU_SECRET=a"},
		"a b":       {"OPENVIDU_SECRET =\ta b "},
		"a=b==":     {"OPENVIDU_SECRET=a=b=="},
		"a# b":      {"OPENVIDU_SECRET=a# b", "OPENVIDU_SECRET=a# b # c"},
		"#b":        {"OPENVIDU_SECRET=#b"},
		"a # b":     {`OPENVIDU_SECRET="a # b"`},
		` a "b" `:   {`OPENVIDU_SECRET=' a "b" ' # c`},
		`a\n$b`:     {`OPENVIDU_SECRET="a\n$b"`},
		"b":         {"OPENVIDU_SECRET=a\nOPENVIDU_SECRET=b"},
		"MY_SECRET": {"OPENVIDU_SECRET=", "OPENVIDU_SECRET= # b", `OPENVIDU_SECRET=""`, "OPENVIDU_SECRET=a\nOPENVIDU_SECRET="},
		notAssignment: {"hidden", "=hidden", "export", "OPENVIDU_SECRET hidden=a", "OPENVIDU_SECRET: hidden=a", "OPENVIDU_SECRET:hidden=a",
			`"OPENVIDU_SECRET"=hidden`},
		openQuote: {`OPENVIDU_SECRET="hidden`, `OPENVIDU_SECRET='hidden"`, `OPENVIDU_SECRET="hidden" a`, "OPENVIDU_SECRET='"},
		notAssignment + "\n.env:3: must be NAME=VALUE": {"hidden\n\nhidden"},
	} {
		for _, text := range texts {
			cfg, err := loadConfig(getenv(), files(".env", text))
			if err != nil {
				cfg.secret = err.Error()
			}
			check(t, text, cfg.secret, want)
		}
	}
}

// -h, .env.example and the README state the same settings and defaults, and .env.example is valid.
func TestDocumentation(t *testing.T) {
	var usage strings.Builder
	printUsage(&usage)
	example, _ := os.ReadFile(".env.example")
	readme, _ := os.ReadFile("README.md")
	defaults, _ := loadConfig(getenv(), fstest.MapFS{})
	if got, err := loadConfig(getenv(), files(".env", string(example))); err != nil || !reflect.DeepEqual(got, defaults) {
		t.Errorf("settings of .env.example: got %v, %v, want the defaults %v", got, err, defaults)
	}
	text := strings.ReplaceAll(fmt.Sprintf("%s%s%s", usage.String(), example, readme), "\r\n", "\n") // a checkout on Windows may have CRLF
	for _, s := range new(config).settings() {
		for document, want := range map[string]string{
			"-h":           fmt.Sprintf("  %-24s  %s (default %s)\n", s.name, s.usage, s.defaultValue),
			".env.example": "\n" + s.name + "=" + s.defaultValue + "\n",
			"README.md":    "\n| `" + s.name + "` | `" + s.defaultValue + "` |",
		} {
			if !strings.Contains(text, want) {
				t.Errorf("%s doesn't contain %q", document, want)
			}
		}
	}
}

// The program listens, reports that OpenVidu is ready, serves, and on shutdown finishes the requests in flight.
func TestProgram(t *testing.T) {
	t.Parallel()
	arrived, release := make(chan bool), make(chan bool)
	fake := startFake(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/connection") {
			arrived <- true
			<-release
		}
		respondToAll(w, r)
	}, func(f *httptest.Server) { f.TLS = &tls.Config{} })
	p := runProgram(t, "OPENVIDU_URL="+strings.Replace(fake.URL, "https://", "https://user:hidden@", 1), "OPENVIDU_SECRET="+secret,
		"OPENVIDU_TLS_SKIP_VERIFY=true", "CORS_ALLOWED_ORIGINS=https://a,https://b")
	waitFor(t, p.log, `level=INFO msg="OpenVidu is ready" version=2.31.0\n`)
	waitFor(t, p.log, `level=INFO msg=listening address=\S+ OPENVIDU_URL=https://user:xxxxx@127.0.0.1:\d+ CORS_ALLOWED_ORIGINS=https://a,https://b\n`)
	waitFor(t, p.log, `level=WARN msg="OPENVIDU_TLS_SKIP_VERIFY is true`)

	check(t, "response", post(t, p.url+sessionsPath, ""), "200 SessionA")
	waitFor(t, p.log, `level=INFO msg=request method=POST path=/api/sessions status=200 duration=\S+\n`)
	check(t, "cookie of the start-up check", fake.requests[1].Header.Get("Cookie"), cookie)
	check(t, "connection of the start-up check", fake.requests[1].RemoteAddr, fake.requests[0].RemoteAddr)

	inFlight := make(chan string)
	go func() { inFlight <- post(t, p.url+connectionsPath, "") }()
	<-arrived
	p.stop()
	waitFor(t, p.log, `msg="shutting down`)
	for c, err := net.Dial("tcp", p.url[len("http://"):]); err == nil; c, err = net.Dial("tcp", p.url[len("http://"):]) {
		c.Close()
	}
	close(release)
	check(t, "response to the request in flight", <-inFlight, "200 "+token)
	if err := <-p.result; err != nil {
		t.Errorf("got %v, want no error", err)
	}
}

// The start-up check reports what to fix, and the server starts anyway.
func TestStartupCheck(t *testing.T) {
	for _, tt := range []struct {
		name     string
		response http.HandlerFunc // nil: OpenVidu is down
		wantLog  string
	}{
		{"OpenVidu is down", nil, `cannot reach OpenVidu: check that it is running and that OPENVIDU_URL is correct: .*: dial tcp 127.0.0.1`},
		{"invalid secret", respond(401, unauthorizedResponse), `OpenVidu rejected the credentials: check OPENVIDU_SECRET`},
		{"HTTP sent to an HTTPS port", respond(400, "Client sent an HTTP request to an HTTPS server.\n"), `no OpenVidu API found: check OPENVIDU_URL \(http or https`},
		{"invalid path", respond(404, notFoundResponse), `no OpenVidu API found: check OPENVIDU_URL`},
		{"invalid path, OpenVidu 2.32", respond(403, ""), `OpenVidu denied access: check OPENVIDU_URL and OpenVidu's ALLOWED_ACCESS_TO_RESTAPI`},
		{"other server", respond(200, "<html>"), `unexpected response from OpenVidu \(not JSON\): check OPENVIDU_URL`},
		{"other server with JSON", respond(200, "{}"), `unexpected response from OpenVidu \(no `},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			fake := startFake(t, tt.response)
			if tt.response == nil {
				fake.Close()
			}
			p := runProgram(t, "OPENVIDU_URL="+fake.URL)
			waitFor(t, p.log, `level=WARN msg="OpenVidu is not ready" error="`+tt.wantLog)
			check(t, "other response", post(t, p.url+"/nowhere", ""), "404 404 page not found\n")
			check(t, "response", post(t, p.url+sessionsPath, "")[:4], "502 ")
			waitFor(t, p.log, `level=ERROR msg="request failed" path=/api/sessions error="`+tt.wantLog)
		})
	}
}

// OpenVidu is checked until it is ready. The log shows a reason only if it has changed.
func TestWaitForOpenVidu(t *testing.T) {
	responses := []http.HandlerFunc{respond(503, ""), respond(503, htmlResponse), reset, reset, respond(401, ""), respond(503, ""), respond(200, configResponse)}
	var i int
	s := startServer(t, startFake(t, func(w http.ResponseWriter, r *http.Request) {
		i++
		responses[i-1](w, r)
	}).URL)
	waitForOpenVidu(t.Context(), s.ov, time.Millisecond, slog.New(slog.NewTextHandler(s.log, nil)))
	got := regexp.MustCompile(`(WARN|INFO) msg="OpenVidu is (not ready" error="[^:]*|ready" version=\S+)`).FindAllString(s.log.String(), -1)
	check(t, "log", strings.Join(got, "\n"), `WARN msg="OpenVidu is not ready" error="OpenVidu failed (status 503)
WARN msg="OpenVidu is not ready" error="OpenVidu closed the connection
WARN msg="OpenVidu is not ready" error="OpenVidu rejected the credentials
WARN msg="OpenVidu is not ready" error="OpenVidu failed (status 503)
INFO msg="OpenVidu is ready" version=2.31.0`)
}

// Shutdown leaks no goroutine or file descriptor, whatever the start-up check is doing.
func TestShutdown(t *testing.T) {
	arrived := make(chan bool, 1)
	for name, response := range map[string]http.HandlerFunc{
		"is ready":     respond(200, configResponse),
		"is not ready": respond(503, ""),
		"hangs":        func(w http.ResponseWriter, r *http.Request) { arrived <- true; <-r.Context().Done() },
	} {
		t.Run(name, func(t *testing.T) {
			fake := startFake(t, response)
			checkLeaks(t)
			p := runProgram(t, "OPENVIDU_URL="+fake.URL)
			if name == "hangs" {
				<-arrived
			} else {
				waitFor(t, p.log, "OpenVidu "+name)
			}
			p.stop()
			if err := <-p.result; err != nil || strings.Contains(p.log.String(), "not ready") != (name == "is not ready") {
				t.Errorf("got %v and log\n%s\nwant no error", err, p.log)
			}
		})
	}
}

// If a signal arrives before the program serves, the program shuts down without an error.
func TestCancelledContext(t *testing.T) {
	t.Parallel()
	fake := startFake(t, respond(200, configResponse))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for i := range 300 {
		if err := run(ctx, getenv("SERVER_PORT=0", "OPENVIDU_URL="+fake.URL), fstest.MapFS{}, io.Discard); err != nil {
			t.Fatalf("run %d: got %v, want no error", i, err)
		}
	}
}

// If the program can't start, it reports why.
func TestExit(t *testing.T) {
	t.Parallel()
	const usage = "openvidu-basic-go creates .*\n  SERVER_PORT  .*\n$"
	for _, tt := range []struct {
		arg         string
		wantStatus  int
		wantPattern string
	}{
		{"-h", 0, "^" + usage},
		{"-x", 2, "^flag provided but not defined: -x\n" + usage},
		{"5000", 2, "^unexpected argument \"5000\": see -h\n$"},
		{"--", 1, "^SERVER_PORT: must be a number from 0 to 65535\n$"},
	} {
		cmd, stderr := command(t, "SERVER_PORT=x")
		cmd.Args = append(cmd.Args, tt.arg)
		cmd.Run()
		if got := cmd.ProcessState.ExitCode(); got != tt.wantStatus || !regexp.MustCompile("(?s)"+tt.wantPattern).MatchString(stderr.String()) {
			t.Errorf("%s: got status %d and\n%s\nwant %d and %s", tt.arg, got, stderr, tt.wantStatus, tt.wantPattern)
		}
	}
	listener, _ := net.Listen("tcp", ":0")
	defer listener.Close()
	_, used, _ := net.SplitHostPort(listener.Addr().String())
	for port, want := range map[string]string{"x": "SERVER_PORT: must be a number", used: "SERVER_PORT: cannot listen on port " + used + " (in use? choose another): "} {
		if err := run(t.Context(), getenv("SERVER_PORT="+port), fstest.MapFS{}, io.Discard); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("port %s: got %v, want %s", port, err, want)
		}
	}
}

// The first signal shuts the program down; the second kills it.
func TestSignals(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows can't send these signals to another process")
	}
	arrived := make(chan bool, 1)
	fake := startFake(t, func(w http.ResponseWriter, r *http.Request) {
		arrived <- true
		<-r.Context().Done()
	})
	for _, second := range []bool{false, true} {
		cmd, log := startProcess(t, "OPENVIDU_URL="+fake.URL)
		<-arrived // the start-up check
		want := "<nil>"
		if second {
			go http.Post("http://127.0.0.1:"+waitFor(t, log, portPattern)+sessionsPath, "", nil)
			<-arrived
			want = "signal: terminated"
		}
		cmd.Process.Signal(os.Interrupt)
		waitFor(t, log, `msg="shutting down`)
		go func() { // again and again: the program may not have restored the default yet
			for second && cmd.Process.Signal(syscall.SIGTERM) == nil {
				time.Sleep(time.Millisecond)
			}
		}()
		check(t, "exit status", fmt.Sprint(cmd.Wait()), want)
	}

	t.Chdir(t.TempDir())
	t.Setenv("SERVER_PORT", "0")
	t.Setenv("OPENVIDU_URL", fake.URL)
	go func() {
		<-arrived
		self, _ := os.FindProcess(os.Getpid())
		self.Signal(syscall.SIGTERM)
	}()
	main()
}

// Calls to OpenVidu use HTTP_PROXY. The program runs in another process, because net/http reads the variable only once.
func TestProxy(t *testing.T) {
	proxy := startFake(t, respond(407, ""))
	closed := startFake(t, nil)
	closed.Close()
	_, log := startProcess(t, "OPENVIDU_URL=http://openvidu.invalid:4443/", "HTTP_PROXY="+proxy.URL)
	waitFor(t, log, `unexpected response from OpenVidu \(status 407\)`)
	check(t, "request to the proxy", strings.Join(proxy.received(), ""), "GET http://openvidu.invalid:4443/openvidu/api/config ")
	for want, proxyURL := range map[string]string{"proxyconnect tcp: 407 Proxy Authentication Required": proxy.URL, "proxyconnect tcp: dial tcp ": closed.URL} {
		s := startServer(t, "https://openvidu.invalid", func(s *testServer) {
			s.transport().Proxy = func(*http.Request) (*url.URL, error) { return url.Parse(proxyURL) }
		})
		check(t, "response", post(t, s.URL+sessionsPath, ""), "502 cannot reach OpenVidu: check that it is running and that OPENVIDU_URL is correct\n")
		waitFor(t, s.log, want)
	}
}

// No part of an unsolicited response, which net/http prints to the standard logger, reaches the log.
func TestUnsolicitedResponse(t *testing.T) {
	t.Parallel()
	fake := startFake(t, write(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%sHTTP/1.1 200 OK\r\nSet-Cookie: %s\r\n\r\n", len(configResponse), configResponse, cookie)))
	_, log := startProcess(t, "OPENVIDU_URL="+fake.URL)
	waitFor(t, log, "OpenVidu is ready")
	check(t, "response", post(t, "http://127.0.0.1:"+waitFor(t, log, portPattern)+sessionsPath, ""), "502 unexpected response from OpenVidu (no session ID): check OPENVIDU_URL\n")
}

// Whatever a client does, it gets a response or is disconnected.
func TestClientFaults(t *testing.T) {
	const (
		head     = "POST /api/sessions/SessionA/connections HTTP/1.1\r\nHost: localhost\r\n"
		timedOut = "408 timed out reading request body\n"
		tooLarge = "413 request body exceeds 100 KiB\n"
	)
	tests := map[string]string{ // from request to response
		"POST /api/sessions HTTP/1.1\r\n":                                                                              "", // disconnected
		head + "Content-Length: 1000\r\n\r\n{":                                                                         timedOut,
		head + "Transfer-Encoding: chunked\r\n\r\n1\r\n{":                                                              timedOut,
		head + "Transfer-Encoding: chunked\r\n\r\nx\r\n":                                                               "400 cannot read request body\n",
		head + "A: " + strings.Repeat("a", 64<<10) + "\r\n\r\n":                                                        "431 431 Request Header Fields Too Large",
		head + "Transfer-Encoding: chunked\r\n\r\n20000\r\n" + strings.Repeat(" ", maxBody+1):                          tooLarge,
		head + "Transfer-Encoding: chunked\r\n\r\n" + strings.Repeat("400\r\n"+strings.Repeat(" ", 1024)+"\r\n", 4096): tooLarge,
	}
	checkLeaks(t)
	fake := startFake(t, respond(200, connectionResponse))
	server := startServer(t, fake.URL)
	impatient := startServer(t, fake.URL, func(s *testServer) {
		s.Config.ReadHeaderTimeout, s.Config.ReadTimeout = 200*time.Millisecond, 200*time.Millisecond
	})
	for request, want := range tests {
		t.Run(fmt.Sprintf("%.100q of %d bytes", request, len(request)), func(t *testing.T) {
			t.Parallel()
			c := dial(t, map[bool]*testServer{false: server, true: impatient}[want == "" || want == timedOut])
			go io.WriteString(c, request)
			check(t, "response", readResponse(c), want)
		})
	}
}

// Every response arrives, even if the server doesn't need the body and closes the connection, as it does behind nginx.
func TestUnreadBodies(t *testing.T) {
	s := startServer(t, startFake(t, respond(200, connectionResponse)).URL)
	for target, want := range map[string]string{
		"POST /nowhere":                        "404 404 page not found\n",
		"PUT /api/sessions":                    "405 Method Not Allowed\n",
		"POST " + connectionsPath:              "200 " + token,
		"POST /api/sessions/a%2Fb/connections": "404 session not found: create it first with POST /api/sessions\n",
	} {
		for _, version := range []string{"HTTP/1.1\r\nHost: localhost\r\nConnection: close", "HTTP/1.0"} {
			for _, size := range []int{20_000, maxBody, 1_000_000} {
				t.Run(fmt.Sprintf("%s %.8s %d", target, version, size), func(t *testing.T) {
					t.Parallel()
					c := dial(t, s)
					go fmt.Fprintf(c, "%s %s\r\nContent-Length: %d\r\n\r\n{%*s", target, version, size, size-1, "}")
					want := want
					if size > maxBody && strings.HasPrefix(target, "POST /api") {
						want = "413 request body exceeds 100 KiB\n"
					}
					check(t, "response", readResponse(c), want)
					if _, err := c.Read(make([]byte, 1)); size <= maxBody && err != io.EOF {
						t.Errorf("after the response: got %v, want %v", err, io.EOF)
					}
				})
			}
		}
	}
	c := dial(t, s)
	c.SetDeadline(time.Now().Add(5 * time.Second)) // shorter than ReadTimeout, which a server waiting for the body would use up
	io.WriteString(c, "POST /nowhere HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nExpect: 100-continue\r\nContent-Length: 10\r\n\r\n")
	check(t, "response to a client that expects 100 Continue", readResponse(c), "404 404 page not found\n")
}

func TestTLS(t *testing.T) {
	const (
		certificate = "502 cannot verify OpenVidu's certificate: check the certificate and its CA or, in development only, set OPENVIDU_TLS_SKIP_VERIFY=true\n"
		handshake   = "502 TLS handshake with OpenVidu failed: check OPENVIDU_URL and OpenVidu's TLS settings\n"
		noAPI       = "502 no OpenVidu API found: check OPENVIDU_URL (http or https, host, port, without /openvidu/api)\n"
	)
	nextCentury := func() time.Time { return time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC) }
	defaultTLS := func() *tls.Config { return &tls.Config{} }
	for _, tt := range []struct {
		name, scheme   string
		server, client *tls.Config
		want, wantLog  string
	}{
		{name: "trusted certificate", scheme: "https", server: defaultTLS(), want: "200 SessionA"},
		{name: "no verification", scheme: "https", server: defaultTLS(), client: &tls.Config{RootCAs: x509.NewCertPool(), InsecureSkipVerify: true}, want: "200 SessionA"},
		{name: "unknown CA", scheme: "https", server: defaultTLS(), client: &tls.Config{RootCAs: x509.NewCertPool()}, want: certificate, wantLog: "x509: .*unknown authority"},
		{name: "other host", scheme: "https", server: defaultTLS(), client: &tls.Config{ServerName: "other.example"}, want: certificate, wantLog: "x509: .* not other.example"},
		{name: "expired", scheme: "https", server: defaultTLS(), client: &tls.Config{Time: nextCentury}, want: certificate, wantLog: "x509: certificate has expired"},
		{name: "client certificate required", scheme: "https", server: &tls.Config{ClientAuth: tls.RequireAnyClientCert}, want: handshake, wantLog: "remote error: tls: "},
		{name: "no common version", scheme: "https", server: &tls.Config{MaxVersion: tls.VersionTLS12}, client: &tls.Config{MinVersion: tls.VersionTLS13},
			want: handshake, wantLog: "remote error: tls: protocol version"},
		{name: "HTTP sent to an HTTPS port", scheme: "http", server: defaultTLS(), want: noAPI},
		{name: "HTTPS sent to an HTTP port", scheme: "https", want: noAPI, wantLog: "server gave HTTP response to HTTPS client"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			fake := startFake(t, respond(200, sessionResponse), func(f *httptest.Server) { f.TLS = tt.server })
			client := cmp.Or(tt.client, &tls.Config{})
			if tt.server != nil && client.RootCAs == nil {
				client.RootCAs = x509.NewCertPool()
				client.RootCAs.AddCert(fake.Certificate())
			}
			s := startServer(t, tt.scheme+"://"+fake.Listener.Addr().String(), func(s *testServer) { s.transport().TLSClientConfig = client })
			check(t, "response", post(t, s.URL+sessionsPath, ""), tt.want)
			if !regexp.MustCompile(tt.wantLog).MatchString(s.log.String()) {
				t.Errorf("got log\n%s\nwant %s", s.log, tt.wantLog)
			}
			check(t, "attempts", fmt.Sprint(fake.connected.Load()), "1")
		})
	}
}

// A request on a keep-alive connection that OpenVidu has just closed still succeeds.
func TestClosedConnections(t *testing.T) {
	fake := startFake(t, respond(200, connectionResponse), func(f *httptest.Server) { f.Config.IdleTimeout = time.Nanosecond })
	s := startServer(t, fake.URL)
	for i := range 500 {
		check(t, fmt.Sprint("response ", i), post(t, s.URL+connectionsPath, "{}"), "200 "+token)
	}
}

// Requests share a limited number of TCP connections to OpenVidu, and reuse them.
func TestConnectionPool(t *testing.T) {
	var fake *fakeOpenVidu
	var once sync.Once
	full := make(chan bool)
	fake = startFake(t, func(w http.ResponseWriter, r *http.Request) {
		if fake.connected.Load() >= maxConnections {
			once.Do(func() { close(full) })
		}
		<-full
		respond(200, connectionResponse)(w, r)
	})
	s := startServer(t, fake.URL)
	for range 2 {
		var clients sync.WaitGroup
		for range 2 * maxConnections {
			clients.Go(func() { check(t, "response", post(t, s.URL+connectionsPath, ""), "200 "+token) })
		}
		clients.Wait()
	}
	check(t, "connections", fmt.Sprint(fake.connected.Load()), "128")
}

// When the client disconnects, the call is cancelled and not logged as an error.
func TestClientDisconnects(t *testing.T) {
	arrived, cancelled := make(chan bool), make(chan bool)
	s := startServer(t, startFake(t, func(w http.ResponseWriter, r *http.Request) {
		arrived <- true
		<-r.Context().Done()
		cancelled <- true
	}).URL)
	c := dial(t, s)
	io.WriteString(c, "POST /api/sessions HTTP/1.1\r\nHost: localhost\r\n\r\n")
	<-arrived
	c.Close()
	<-cancelled
	waitFor(t, s.log, "msg=request .* status=499")
	if strings.Contains(s.log.String(), "level=ERROR") {
		t.Errorf("got log\n%s\nwant no error", s.log)
	}
}

// The timeouts are consistent with each other and with OpenVidu, which takes up to 15 s to respond and closes idle connections after 60 s.
func TestTimeouts(t *testing.T) {
	s := startServer(t, "http://localhost")
	header, read, write, idle := s.Config.ReadHeaderTimeout, s.Config.ReadTimeout, s.Config.WriteTimeout, s.Config.IdleTimeout
	call, handshake, idleConn := s.ov.timeout, s.transport().TLSHandshakeTimeout, s.transport().IdleConnTimeout
	server := 0 < header && header <= read && read <= idle && read+call < write && s.Config.ErrorLog != nil
	client := 15*time.Second < call && 0 < handshake && handshake < call && 0 < idleConn && idleConn < time.Minute
	if !server || !client {
		t.Errorf("got %v for a header, %v for a request, %v to a response, %v idle; for a call to OpenVidu %v, %v for its handshake, %v idle; want header <= request <= idle, "+
			"request + call < response, 15s < call, 0 < handshake < call, 0 < idle < 1m",
			header, read, write, idle, call, handshake, idleConn)
	}
}

// BenchmarkHop measures requests through this server and, for comparison, through a bare httputil.ReverseProxy.
func BenchmarkHop(b *testing.B) {
	fake := httptest.NewServer(http.HandlerFunc(respondToAll))
	b.Cleanup(fake.Close)
	u, _ := url.Parse(fake.URL)
	proxy := httptest.NewServer(&httputil.ReverseProxy{
		Transport:  &http.Transport{MaxIdleConnsPerHost: maxConnections},
		BufferPool: &bufferPool{sync.Pool{New: func() any { return make([]byte, 32<<10) }}},
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(u)
			r.Out.URL.Path = "/openvidu/api/sessions/SessionA/connection"
			r.Out.SetBasicAuth("OPENVIDUAPP", secret)
		},
	})
	b.Cleanup(proxy.Close)
	logger := slog.New(slog.NewTextHandler(io.Discard, nil))
	server := httptest.NewServer(newHandler(newOpenVidu(u, secret, false), []string{"*"}, logger))
	b.Cleanup(server.Close)
	for _, bb := range []struct{ name, url, body, want string }{
		{"session", server.URL + sessionsPath, `{"customSessionId":"SessionA"}`, "SessionA"},
		{"token", server.URL + connectionsPath, "{}", token},
		{"ReverseProxy", proxy.URL + connectionsPath, "{}", connectionResponse},
	} {
		b.Run(bb.name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetParallelism(16)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					_, text := send(b, "POST", bb.url, bb.body, http.Header{})
					check(b, "text", text, bb.want)
				}
			})
		})
	}
}

// Whatever a client sends, OpenVidu gets a valid request for a session or a connection, or none, and the client gets no 5xx.
func FuzzRequest(f *testing.F) {
	for _, path := range []string{sessionsPath, connectionsPath, "/api/sessions/%2e%2e/connections", "/api/sessions/a%2F..%2Fb/connections", "//api/sessions",
		"/api/sessions/../x?y#z", "http://x/api/sessions", "*", "/api/sessions/%2"} {
		for _, body := range []string{"", "null", "{}", "{}{}", `{"customSessionId":"a\u0000\r\n"}`, `{"customSessionId":5,"customSessionId":null}`, "{\"\xff\":1}"} {
			f.Add(path, body)
		}
	}
	fake := startFake(f, respondToAll)
	s := startServer(f, fake.URL)
	pattern := regexp.MustCompile(`^POST /openvidu/api/sessions(/[A-Za-z0-9_-]+/connection)? ([ \t\r\n]*\{(?s:.*))$`)
	f.Fuzz(func(t *testing.T, path, body string) {
		c := dial(t, s)
		c.(*net.TCPConn).SetLinger(0) // so that millions of connections don't use up the ports
		go fmt.Fprintf(c, "POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s", path, len(body), body)
		if got := readResponse(c); regexp.MustCompile("^50[0234]").MatchString(got) { // 501 and 505 are Go's: unsupported HTTP
			t.Errorf("got %q, want no 5xx", got)
		}
		for _, request := range fake.received() {
			if match := pattern.FindStringSubmatch(request); match == nil || !json.Valid([]byte(match[2])) {
				t.Errorf("OpenVidu got %q", request)
			}
		}
	})
}

// Whatever .env contains, errors contain line numbers but no text, and quoted text is literal.
func FuzzDotenv(f *testing.F) {
	f.Add("a # b\x00\xff\"")
	f.Fuzz(func(t *testing.T, text string) {
		if _, err := parseDotenv(text); err != nil && !regexp.MustCompile(`^(\.env:\d+: (must be NAME=VALUE|value must end with the quote that it starts with)\n?)+$`).MatchString(err.Error()) {
			t.Errorf("got error %q, want only line numbers", err)
		}
		if vars, err := parseDotenv("X=1\nA='" + text + "' # c"); !strings.ContainsAny(text, "'\n") && (err != nil || vars["A"] != text) {
			t.Errorf("quoted text: got %q, %v, want %q", vars["A"], err, text)
		}
	})
}

// A fakeOpenVidu responds with a handler and records the requests.
type fakeOpenVidu struct {
	*httptest.Server
	connected atomic.Int32 // number of connections so far
	mu        sync.Mutex
	requests  []*http.Request
	bodies    []string
}

// startFake starts a fake, over HTTPS if configure sets TLS.
func startFake(t testing.TB, response http.HandlerFunc, configure ...func(*httptest.Server)) *fakeOpenVidu {
	f := &fakeOpenVidu{}
	f.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		f.mu.Lock()
		f.requests = append(f.requests, r)
		f.bodies = append(f.bodies, string(body))
		f.mu.Unlock()
		response(w, r)
	}))
	f.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
	f.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			f.connected.Add(1)
		}
	}
	for _, c := range configure {
		c(f.Server)
	}
	if f.TLS != nil {
		f.StartTLS()
	} else {
		f.Start()
	}
	t.Cleanup(func() { f.CloseClientConnections(); f.Close() })
	return f
}

// received returns the method, URL and body of each request since the last call.
func (f *fakeOpenVidu) received() (requests []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i, r := range f.requests {
		requests = append(requests, r.Method+" "+r.RequestURI+" "+f.bodies[i])
	}
	f.requests, f.bodies = nil, nil
	return requests
}

// respond returns a handler that responds as OpenVidu does, with its session cookie.
func respond(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Set-Cookie", cookie+"; Path=/; HttpOnly")
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("WWW-Authenticate", `Basic realm="Realm"`)
		w.WriteHeader(status)
		io.WriteString(w, body)
	}
}

// respondToAll responds to each of the three requests as OpenVidu does.
func respondToAll(w http.ResponseWriter, r *http.Request) {
	respond(200, map[string]string{"config": configResponse, "sessions": sessionResponse, "connection": connectionResponse}[path.Base(r.URL.Path)])(w, r)
}

// raw returns a handler that writes text to the connection, calls end and closes the connection.
func raw(text string, end func(*net.TCPConn)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		c, _, _ := w.(http.Hijacker).Hijack()
		defer c.Close()
		io.WriteString(c, text)
		end(c.(*net.TCPConn))
	}
}

func reset(w http.ResponseWriter, r *http.Request) {
	raw("", func(c *net.TCPConn) { c.SetLinger(0) })(w, r)
}
func write(text string) http.HandlerFunc { return raw(text, func(*net.TCPConn) {}) }

// hang returns a handler that writes text and waits until the client closes the connection.
func hang(text string) http.HandlerFunc {
	return raw(text, func(c *net.TCPConn) { io.Copy(io.Discard, c) })
}

// testServer is the server under test, with its client of OpenVidu and its log.
type testServer struct {
	*httptest.Server
	ov      *openVidu
	log     *logBuffer
	origins []string
}

// startServer starts a server for the OpenVidu server at openviduURL. It allows any origin unless configure changes that.
func startServer(t testing.TB, openviduURL string, configure ...func(*testServer)) *testServer {
	u, _ := url.Parse(openviduURL)
	s := &testServer{Server: httptest.NewUnstartedServer(nil), ov: newOpenVidu(u, secret, false), log: &logBuffer{}, origins: []string{"*"}}
	logger := slog.New(slog.NewTextHandler(s.log, nil))
	s.Config = newServer(nil, logger)
	for _, c := range configure {
		c(s)
	}
	s.Config.Handler = newHandler(s.ov, s.origins, logger)
	s.Start()
	t.Cleanup(func() {
		s.Close()
		s.ov.client.CloseIdleConnections()
		s.log.checkSecrets(t)
	})
	return s
}

func (s *testServer) transport() *http.Transport { return s.ov.client.Transport.(*http.Transport) }

// logBuffer is a bytes.Buffer safe for concurrent use.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) { defer l.lock()(); return l.b.Write(p) }
func (l *logBuffer) String() string              { defer l.lock()(); return l.b.String() }
func (l *logBuffer) lock() (unlock func())       { l.mu.Lock(); return l.mu.Unlock }

// checkSecrets fails the test if the log contains a secret.
func (l *logBuffer) checkSecrets(t testing.TB) {
	for _, hidden := range []string{secret, basic, "tok_", strings.TrimPrefix(cookie, "OVJSESSIONID="), "hidden"} {
		if strings.Contains(l.String(), hidden) {
			t.Errorf("the log contains %q:\n%s", hidden, l)
		}
	}
}

const portPattern = `msg=listening address=\S+:(\d+) ` // in the log

// waitFor waits until the log matches pattern and returns the last group.
func waitFor(t *testing.T, log *logBuffer, pattern string) string {
	t.Helper()
	re := regexp.MustCompile(pattern)
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		if match := re.FindStringSubmatch(log.String()); match != nil {
			return match[len(match)-1]
		}
	}
	t.Fatalf("got log\n%s\nwant %s", log, pattern)
	return ""
}

// program is the whole program, running in this process.
type program struct {
	url    string
	log    *logBuffer
	stop   context.CancelFunc
	result chan error
}

func runProgram(t *testing.T, env ...string) *program {
	ctx, stop := context.WithCancel(t.Context())
	p := &program{log: &logBuffer{}, stop: stop, result: make(chan error, 1)}
	go func() { p.result <- run(ctx, getenv(append(env, "SERVER_PORT=0")...), fstest.MapFS{}, p.log) }()
	t.Cleanup(func() {
		stop()
		p.log.checkSecrets(t)
	})
	p.url = "http://127.0.0.1:" + waitFor(t, p.log, portPattern)
	return p
}

// command returns a command that runs the program in another process, and its stderr.
func command(t *testing.T, env ...string) (*exec.Cmd, *logBuffer) {
	self, _ := os.Executable()
	cmd := exec.Command(self)
	cmd.Dir = t.TempDir()
	cmd.Env = append(env, "OPENVIDU_TEST_MAIN=1", "GORACE=atexit_sleep_ms=0", "GOCOVERDIR="+cmd.Dir)
	log := &logBuffer{}
	cmd.Stderr = log
	return cmd, log
}

func startProcess(t *testing.T, env ...string) (*exec.Cmd, *logBuffer) {
	cmd, log := command(t, append(env, "SERVER_PORT=0")...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		log.checkSecrets(t)
	})
	return cmd, log
}

// getenv returns an os.Getenv for the given NAME=value pairs.
func getenv(env ...string) func(string) string {
	values := map[string]string{}
	for _, pair := range env {
		name, value, _ := strings.Cut(pair, "=")
		values[name] = value
	}
	return func(name string) string { return values[name] }
}

func files(name, text string) fs.FS { return fstest.MapFS{name: {Data: []byte(text)}} }

// send sends a request and returns the response and its text.
func send(t testing.TB, method, url, body string, header http.Header) (*http.Response, string) {
	t.Helper()
	req, _ := http.NewRequest(method, url, strings.NewReader(body))
	req.Header = header
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Errorf("%s %.100s: %v", method, url, err)
		return &http.Response{}, ""
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Errorf("%s %.100s: %v", method, url, err)
	}
	return resp, string(text)
}

// post sends a POST request and returns the status and text of the response.
func post(t testing.TB, url, body string) string {
	t.Helper()
	resp, text := send(t, "POST", url, body, http.Header{})
	return fmt.Sprint(resp.StatusCode, " ", text)
}

// check fails the test if got differs from want.
func check(t testing.TB, name, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%.100q: got\n%.1000q, want\n%.1000q", name, got, want)
	}
}

// checkHeader fails the test if headers of a response differ from want; "" means that the header must be missing.
func checkHeader(t *testing.T, resp *http.Response, want map[string]string) {
	t.Helper()
	for name, want := range want {
		got, ok := resp.Header[name]
		if strings.Join(got, ", ") != want || ok != (want != "") {
			t.Errorf("got %s %q, want %q", name, got, want)
		}
	}
}

func dial(t testing.TB, s *testServer) net.Conn {
	c, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(10 * time.Second))
	return c
}

// readResponse returns the status and text of the response that arrives on c, "" if c is closed instead.
func readResponse(c net.Conn) string {
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err == nil {
		text, err := io.ReadAll(resp.Body)
		return strings.TrimSuffix(fmt.Sprint(resp.StatusCode, " ", string(text), err), "<nil>")
	}
	return strings.TrimSuffix(err.Error(), "unexpected EOF")
}

// checkLeaks fails the test if goroutines have leaked by its end. If /dev/fd exists, it checks file descriptors too.
func checkLeaks(t *testing.T) {
	count := func() (goroutines, files int) {
		http.DefaultTransport.(*http.Transport).CloseIdleConnections()
		entries, _ := os.ReadDir("/dev/fd")
		return runtime.NumGoroutine(), len(entries)
	}
	time.Sleep(1) // starts the network poller, which opens files
	goroutines, files := count()
	t.Cleanup(func() {
		g, f := count()
		for deadline := time.Now().Add(10 * time.Second); (g > goroutines || f > files) && time.Now().Before(deadline); g, f = count() {
			time.Sleep(time.Millisecond)
		}
		if g > goroutines || f > files {
			t.Errorf("got %d goroutines and %d files, want at most %d and %d", g, f, goroutines, files)
		}
	})
}

type bufferPool struct{ sync.Pool }

func (p *bufferPool) Get() []byte  { return p.Pool.Get().([]byte) }
func (p *bufferPool) Put(b []byte) { p.Pool.Put(b) }

// Responses recorded from OpenVidu 2.31.0.
const (
	sessionResponse = `{"id":"SessionA","object":"session","sessionId":"SessionA","createdAt":1795363583996,"recording":false,"broadcasting":false,"mediaMode":"ROUTED","recordingMode":"MANUAL",` +
		`"defaultRecordingProperties":{"name":"","hasAudio":true,"hasVideo":true,"outputMode":"COMPOSED","recordingLayout":"BEST_FIT","resolution":"1280x720","frameRate":25,` +
		`"shmSize":536870912},"customSessionId":"SessionA","forcedVideoCodec":"MEDIA_SERVER_PREFERRED","allowTranscoding":false,"connections":{"numberOfElements":0,"content":[]}}`
	connectionResponse = `{"id":"con_Y06efLnj6t","object":"connection","status":"pending","connectionId":"con_Y06efLnj6t","sessionId":"SessionA","createdAt":1795363586022,"type":"WEBRTC",` +
		`"record":true,"role":"PUBLISHER","kurentoOptions":null,"customIceServers":[],"rtspUri":null,"adaptativeBitrate":null,"onlyPlayWithSubscribers":null,"networkCache":null,` +
		`"serverData":"","token":"wss://localhost:4443?sessionId=SessionA&token=tok_Sb55SFmGqEXQfJhX","activeAt":null,"location":null,"ip":null,"platform":null,"clientData":null,` +
		`"publishers":null,"subscribers":null}`
	ipcamResponse = `{"id":"ipc_IPCAM_rtsp_RSZS_127_0_0_1_1_x","object":"connection","status":"active","connectionId":"ipc_IPCAM_rtsp_RSZS_127_0_0_1_1_x","sessionId":"SessionA",` +
		`"createdAt":1795363587056,"activeAt":1795363587056,"location":"unknown","ip":"127.0.0.1","platform":"IPCAM","token":null,"type":"IPCAM","record":true,"role":null,` +
		`"kurentoOptions":null,"customIceServers":[],"rtspUri":"rtsp://127.0.0.1:1/x","adaptativeBitrate":true,"onlyPlayWithSubscribers":true,"networkCache":2000,"serverData":"",` +
		`"clientData":null,"publishers":[{"createdAt":1795363587127,"streamId":"str_IPC_Wa28_ipc_IPCAM_rtsp_RSZS_127_0_0_1_1_x","rtspUri":"rtsp://127.0.0.1:1/x",` +
		`"mediaOptions":{"hasAudio":true,"audioActive":true,"hasVideo":true,"videoActive":true,"typeOfVideo":"IPCAM","frameRate":null,"videoDimensions":null,"filter":{},` +
		`"adaptativeBitrate":true,"onlyPlayWithSubscribers":true,"networkCache":2000}}],"subscribers":[]}`
	configResponse = `{"VERSION":"2.31.0","DOMAIN_OR_PUBLIC_IP":"localhost","HTTPS_PORT":4443,"OPENVIDU_PUBLICURL":"https://localhost:4443","OPENVIDU_CDR":false,` +
		`"OPENVIDU_STREAMS_VIDEO_MAX_RECV_BANDWIDTH":1000,"OPENVIDU_STREAMS_VIDEO_MIN_RECV_BANDWIDTH":300,"OPENVIDU_STREAMS_VIDEO_MAX_SEND_BANDWIDTH":1000,` +
		`"OPENVIDU_STREAMS_VIDEO_MIN_SEND_BANDWIDTH":300,"OPENVIDU_STREAMS_FORCED_VIDEO_CODEC":"MEDIA_SERVER_PREFERRED","OPENVIDU_STREAMS_ALLOW_TRANSCODING":false,` +
		`"OPENVIDU_WEBRTC_SIMULCAST":false,"OPENVIDU_SESSIONS_GARBAGE_INTERVAL":900,"OPENVIDU_SESSIONS_GARBAGE_THRESHOLD":3600,"OPENVIDU_RECORDING":false,"OPENVIDU_WEBHOOK":false}`
	invalidResponse      = `{"timestamp":1795363586293,"status":400,"error":"Bad Request","message":"Parameter role BOSS is not defined","path":"/openvidu/api/sessions/SessionA/connection"}`
	malformedResponse    = `{"timestamp":"2026-11-22T16:06:24.938+00:00","status":400,"error":"Bad Request","path":"/openvidu/api/sessions"}`
	unauthorizedResponse = `{"timestamp":"2026-11-22T16:06:25.639+00:00","status":401,"error":"Unauthorized","path":"/openvidu/api/sessions"}`
	notFoundResponse     = `{"timestamp":"2026-11-22T16:06:25.917+00:00","status":404,"error":"Not Found","path":"/openvidu/api/openvidu/api/sessions"}`
	internalResponse     = `{"timestamp":"2026-11-22T16:06:26.734+00:00","status":500,"error":"Internal Server Error","path":"/openvidu/api/sessions/%2e%2e/connection"}`
	htmlResponse         = `<!doctype html><html lang="en"><head><title>HTTP Status 400 – Bad Request</title><style type="text/css">body {font-family:Tahoma,Arial,sans-serif;} h1, h2, h3, b ` +
		`{color:white;background-color:#525D76;} h1 {font-size:22px;} h2 {font-size:16px;} h3 {font-size:14px;} p {font-size:12px;} a {color:black;} .line {height:1px;` +
		`background-color:#525D76;border:none;}</style></head><body><h1>HTTP Status 400 – Bad Request</h1></body></html>`

	cookie = "OVJSESSIONID=8EB66F980847C6A7697796FB1F7FED6C"
	token  = "wss://localhost:4443?sessionId=SessionA&token=tok_Sb55SFmGqEXQfJhX"
	basic  = "T1BFTlZJRFVBUFA6UyNlY3JldA==" // OPENVIDUAPP:S#ecret
	secret = "S#ecret"
)
