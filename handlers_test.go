package main

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestAPI(t *testing.T) {
	const (
		unusual         = " {\"a\":1e999,\t\"ключ\" :\"\\u00e9\",\"a\":12345678901234567890}\r\n"
		notFound        = "404 session not found: create it first with POST /api/sessions"
		notObject       = "400 request body must be a JSON object"
		customSessionID = "400 customSessionId must be a string of at most 1,000 characters: A-Z, a-z, 0-9, _ and -"
	)
	id := strings.Repeat("a", 1000)
	testRows(t, []testExchange{
		{name: "session", path: testSessions, body: testSessionA, openvidu: fakeRecorded, want: "200 SessionA"},
		{name: "session without a body", path: testSessions, openvidu: fakeRecorded, want: "200 SessionA"},
		{name: "session that is already open", path: testSessions, body: testSessionA, openvidu: fakeResponse(409, ""),
			want: "200 SessionA"},
		{name: "OpenVidu's ID counts", path: testSessions, body: `{"customSessionId":"B"}`, openvidu: fakeRecorded,
			want: "200 SessionA"},
		{name: "the body is passed on unchanged", path: testSessions, body: unusual, openvidu: fakeRecorded,
			want: "200 SessionA"},
		{name: "the last customSessionId counts", path: testSessions, openvidu: fakeResponse(409, ""),
			body: `{"customSessionId":"A","customSessionId":"B"}`, want: "200 B"},
		{name: "escapes in the name customSessionId", path: testSessions, openvidu: fakeResponse(409, ""),
			body: `{"custom\u0053essionId":"A"}`, want: "200 A"},
		{name: "null as customSessionId", path: testSessions, body: `{"customSessionId":null}`, openvidu: fakeRecorded,
			want: "200 SessionA"},
		{name: "customSessionId of 1,000 characters", path: testSessions, body: `{"customSessionId":"` + id + `"}`,
			openvidu: fakeResponse(409, ""), want: "200 " + id},
		{name: "customSessionId of 1,001 characters", path: testSessions, body: `{"customSessionId":"` + id + `a"}`,
			want: customSessionID},
		{name: "customSessionId that OpenVidu rejects", path: testSessions, body: `{"customSessionId":"a/b"}`,
			want: customSessionID},
		{name: "number as customSessionId", path: testSessions, body: `{"customSessionId":5}`, want: customSessionID},
		{name: "array as the last customSessionId", path: testSessions,
			body: `{"customSessionId":"A","customSessionId":[]}`, want: customSessionID},

		{name: "connection", path: testConnections, body: `{"role":"PUBLISHER"}`, openvidu: fakeRecorded,
			want: "200 " + testToken},
		{name: "connection without a body", path: testConnections, openvidu: fakeRecorded, want: "200 " + testToken},
		{name: "the customSessionId of a connection isn't checked", path: testConnections,
			body: `{"customSessionId":5}`, openvidu: fakeRecorded, want: "200 " + testToken},
		{name: "IP camera, which needs no token", path: testConnections, body: `{"type":"IPCAM"}`,
			openvidu: fakeResponse(200, recordedIPCamera), want: "200 "},
		{name: "token that looks like HTML", path: testConnections, openvidu: fakeResponse(200, `{"token":"<html>"}`),
			want: "200 <html>"},
		{name: "session ID with all characters", path: "/api/sessions/ses_aB0-9/connections", openvidu: fakeRecorded,
			want: "200 " + testToken},
		{name: "session ID of 1,000 characters", path: "/api/sessions/" + id + "/connections", openvidu: fakeRecorded,
			want: "200 " + testToken},
		{name: "session ID of 1,001 characters", path: "/api/sessions/" + id + "a/connections", want: notFound},
		{name: "unknown session", path: testConnections, openvidu: fakeResponse(404, ""), want: notFound},

		{name: "body of 100 KiB", path: testConnections, body: "{}" + strings.Repeat(" ", 100*1024-2),
			openvidu: fakeRecorded, want: "200 " + testToken},
		{name: "malformed JSON", path: testSessions, body: "{bad", want: notObject,
			wantCause: ": invalid character 'b' looking for beginning of object key string"},
		{name: "JSON array", path: testSessions, body: "[{}]", want: notObject,
			wantCause: ": json: cannot unmarshal array into Go value of type map[string]json.RawMessage"},
		{name: "JSON null", path: testSessions, body: "null", want: notObject},
		{name: "two JSON objects", path: testConnections, body: "{} {}", want: notObject,
			wantCause: ": invalid character '{' after top-level value"},
		{name: "only white space", path: testConnections, body: " \n", want: notObject,
			wantCause: ": unexpected end of JSON input"},
		{name: "body that isn't UTF-8", path: testConnections, body: "{\"data\":\"\xc3\"}",
			want: "400 request body must be UTF-8"},

		{name: "invalid property", path: testConnections, body: `{"role":"BOSS"}`, openvidu: fakeRecorded,
			want: "400 Parameter role BOSS is not defined"},
		{name: "OpenVidu's message has two lines", path: testConnections,
			openvidu: fakeResponse(400, `{"error":"Bad Request","message":"100%s\r\n\ttwo"}`), want: "400 100%s two"},
		{name: "OpenVidu's message is longer than 300 characters", path: testConnections, want: "400 a " +
			strings.Repeat("é", 298), openvidu: fakeResponse(400, `{"error":"Bad Request","message":"a `+
			strings.Repeat("é", 299)+`"}`)},
		{name: "OpenVidu's 400 has no message", path: testSessions, openvidu: fakeResponse(400, recordedMalformed),
			want: "400 Bad Request"},
	}, func(t *testing.T, e testExchange) { e.run(t) })
}

// A failure that isn't expected is an internal server error. The log has its cause.
func TestBugs(t *testing.T) {
	const internal = "500 internal server error: see this server's log"
	testBubble(t, func(t *testing.T) {
		s := startTest(t, nil)
		s.ov.api = "://"
		testEqual(t, "response", s.post(t, testSessions, ""), wantText(internal))
		testEqual(t, "log", s.log.lines(), wantLogLine(testSessions, internal,
			`: parse ":///sessions": missing protocol scheme`))
	})
	testBubble(t, func(t *testing.T) {
		s := startTestWith(t, newFake(nil), func(*openVidu) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fail(w, r, errors.New("a bug")) })
		})
		testEqual(t, "response", s.post(t, testSessions, ""), wantText(internal))
		testEqual(t, "log", s.log.lines(),
			"level=ERROR msg=request method=POST path=/api/sessions status=500 duration=0s error=\"a bug\"\n")
	})
}

// Nothing leaks from one request into the response, the request to OpenVidu or the log line of the next. OpenVidu
// gets the credentials every time, its cookie from the second time on, and none of the client's headers.
func TestThreeRequests(t *testing.T) {
	testBubble(t, func(t *testing.T) {
		s := startTest(t, fakeRecorded, "OPENVIDU_URL=http://127.0.0.1:4443/a%2Fb/", "CORS_ALLOWED_ORIGINS=https://a")
		first := testRequest("POST", testSessions+"?a=b", testSessionA, "Origin: https://b", "Cookie: a=b",
			"Authorization: Basic Zm9vOmJhcg==", "Content-Type: text/plain", "User-Agent: browser",
			"X-Forwarded-For: 1.2.3.4", "Access-Control-Request-Method: POST")
		text := []string{"Content-Type: text/plain; charset=utf-8", "Vary: Origin", "X-Content-Type-Options: nosniff"}
		testEqual(t, "first response", s.send(t, first), wantResponse(200, "SessionA", text...))
		second := testRequest("POST", testConnections, `{"role":"BOSS"}`, "Origin: https://b")
		testEqual(t, "second response", s.send(t, second),
			wantResponse(400, "Parameter role BOSS is not defined\n", text...))
		testEqual(t, "third response", s.send(t, testRequest("POST", testConnections, "", "Origin: https://a")),
			wantResponse(200, testToken, append(text, "Access-Control-Allow-Origin: https://a")...))
		testEqual(t, "log", s.log.lines(), ""+
			"level=INFO msg=request method=POST path=/api/sessions status=200 duration=0s "+
			"origin_not_allowed=https://b\n"+
			"level=INFO msg=request method=POST path=/api/sessions/SessionA/connections status=400 duration=0s "+
			"origin_not_allowed=https://b error=\"Parameter role BOSS is not defined\"\n"+
			"level=INFO msg=request method=POST path=/api/sessions/SessionA/connections status=200 duration=0s\n")
		cookie := "Cookie: " + testCookie
		testEqual(t, "requests to OpenVidu", s.openvidu.received(),
			wantReceived("POST /a%2Fb/openvidu/api/sessions", testSessionA)+
				wantReceived("POST /a%2Fb/openvidu/api/sessions/SessionA/connection", `{"role":"BOSS"}`, cookie)+
				wantReceived("POST /a%2Fb/openvidu/api/sessions/SessionA/connection", "{}", cookie))
	})
}

// There are two routes. The ServeMux responds to all other paths and methods, and OpenVidu gets only IDs that a
// session can have.
func TestRoutes(t *testing.T) {
	const (
		notFound  = "404 404 page not found"
		noSession = "404 session not found: create it first with POST /api/sessions"
	)
	notAllowed := wantText("405 Method Not Allowed", "Allow: POST")
	type row struct{ name, method, path, want, wantAttr string }
	rows := []row{
		{method: "GET", path: "/", want: wantText(notFound)},
		{method: "POST", path: "/api/config", want: wantText(notFound)},
		{method: "POST", path: "/api/sessions/", want: wantText(notFound)},
		{method: "DELETE", path: "/api/sessions/SessionA", want: wantText(notFound)},
		{method: "GET", path: testSessions, want: notAllowed},
		{method: "PUT", path: testConnections, want: notAllowed},
		{method: "OPTIONS", path: testSessions, want: notAllowed}, // not a preflight
		{method: "POST", path: "/api//sessions",
			want: wantResponse(307, "", "Access-Control-Allow-Origin: *", "Location: /api/sessions")},
	}
	for _, id := range []string{"%2e", "%2E.", "a.b", "a;b", "a%2Fb", "a%25", "a%00", "a%20b", "a%FF", "%C3%B3",
		"a%0A"} {
		rows = append(rows, row{method: "POST", path: "/api/sessions/" + id + "/connections", want: wantText(noSession),
			wantAttr: fmt.Sprintf(" error=%q", strings.TrimPrefix(noSession, "404 "))})
	}
	for i := range rows {
		rows[i].name = rows[i].method + " " + rows[i].path
	}
	testRows(t, rows, func(t *testing.T, tt row) {
		s := startTest(t, nil)
		testEqual(t, "response", s.send(t, testRequest(tt.method, tt.path, "")), tt.want)
		want := regexp.MustCompile("^level=INFO msg=request method=" + tt.method + " path=.+ status=" + tt.want[:3] +
			" duration=0s" + regexp.QuoteMeta(tt.wantAttr) + "\n$")
		testMatch(t, "log", s.log.lines(), want)
		testEqual(t, "requests to OpenVidu", s.openvidu.received(), "")
	})
}

// Pages from the allowed origins, and no others, can read every response.
func TestCORS(t *testing.T) {
	type row struct {
		name            string
		allowed, origin string
		want            []string // header lines of every response
		wantLogged      bool     // as origin_not_allowed
	}
	rows := []row{
		{allowed: "*", origin: "", want: []string{"Access-Control-Allow-Origin: *"}},
		{allowed: "*", origin: "null", want: []string{"Access-Control-Allow-Origin: *"}},
		{allowed: "*", origin: "https://a", want: []string{"Access-Control-Allow-Origin: *"}},
		{allowed: "https://a,https://b:8080", origin: "https://a",
			want: []string{"Access-Control-Allow-Origin: https://a", "Vary: Origin"}},
		{allowed: "https://a,https://b:8080", origin: "https://b:8080",
			want: []string{"Access-Control-Allow-Origin: https://b:8080", "Vary: Origin"}},
		{allowed: "https://a", origin: "", want: []string{"Vary: Origin"}},
	}
	for _, origin := range []string{"http://localhost", "null", "http://a", "https://A", "https://a.evil.org",
		"https://b.a", "https://a:8080", "https://a,https://b"} {
		rows = append(rows, row{allowed: "https://a,https://b", origin: origin, want: []string{"Vary: Origin"},
			wantLogged: true})
	}
	for i := range rows {
		rows[i].name = fmt.Sprintf("origin %q, allowed %q", rows[i].origin, rows[i].allowed)
	}
	testRows(t, rows, func(t *testing.T, tt row) {
		s := startTest(t, fakeRecorded, "CORS_ALLOWED_ORIGINS="+tt.allowed)
		var origin []string
		if tt.origin != "" {
			origin = []string{"Origin: " + tt.origin}
		}
		text := append(tt.want, "Content-Type: text/plain; charset=utf-8", "X-Content-Type-Options: nosniff")
		testEqual(t, "session", s.send(t, testRequest("POST", testSessions, "", origin...)),
			wantResponse(200, "SessionA", text...))
		testEqual(t, "error", s.send(t, testRequest("POST", "/nowhere", "", origin...)),
			wantResponse(404, "404 page not found\n", text...))
		testEqual(t, "requests to OpenVidu", s.openvidu.received(), wantRequest(testSessions, "{}"))
		for _, preflight := range []struct{ path, method string }{{testSessions, "POST"}, {testConnections, "PUT"}} {
			header := append(origin, "Access-Control-Request-Method: "+preflight.method,
				"Access-Control-Request-Headers: content-type", "Access-Control-Request-Headers: x-a, x-b")
			testEqual(t, "preflight", s.send(t, testRequest("OPTIONS", preflight.path, "", header...)),
				wantResponse(204, "", append(tt.want, "Access-Control-Allow-Headers: content-type",
					"Access-Control-Allow-Headers: x-a, x-b", "Access-Control-Allow-Methods: POST",
					"Access-Control-Max-Age: 7200")...))
		}
		testEqual(t, "requests to OpenVidu after the preflights", s.openvidu.received(), "")
		attr := ""
		if tt.wantLogged {
			attr = " origin_not_allowed=" + tt.origin
		}
		testEqual(t, "log", s.log.lines(), ""+
			"level=INFO msg=request method=POST path=/api/sessions status=200 duration=0s"+attr+"\n"+
			"level=INFO msg=request method=POST path=/nowhere status=404 duration=0s"+attr+"\n"+
			"level=INFO msg=request method=OPTIONS path=/api/sessions status=204 duration=0s"+attr+"\n"+
			"level=INFO msg=request method=OPTIONS path=/api/sessions/SessionA/connections status=204 duration=0s"+
			attr+"\n")
	})
}

// logins maps each login to the session that it may view, or to "*" if it may do everything.
var logins = map[string]string{"Bearer presenter": "*", "Bearer viewer": "SessionA"}

// authorize rejects requests without a login. Whatever viewers send, they open their session without properties of
// their own and join it as SUBSCRIBER.
func authorize(api http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		session, ok := logins[r.Header.Get("Authorization")] // replace this with your own check
		if !ok {
			w.Header().Set("WWW-Authenticate", "Bearer")
			fail(w, r, httpError{http.StatusUnauthorized, "log in first"})
			return
		}
		if session != "*" {
			properties := `{"role":"SUBSCRIBER"}`
			switch r.Method + " " + r.URL.Path {
			case "POST /api/sessions":
				properties = `{"customSessionId":"` + session + `"}` // A-Z, a-z, 0-9, _ and - need no escapes in JSON
			case "POST /api/sessions/" + session + "/connections":
			default:
				fail(w, r, httpError{http.StatusForbidden, "viewers can only join " + session})
				return
			}
			io.Copy(io.Discard, r.Body) // so that net/http notices if the viewer disconnects
			r.Body = io.NopCloser(strings.NewReader(properties))
		}
		api.ServeHTTP(w, r)
	})
}

// The README's example of a login, which stands above so that it is compiled, does what the README says.
func TestAuthorize(t *testing.T) {
	const (
		moderator  = `{"role":"MODERATOR","type":"IPCAM","rtspUri":"rtsp://camera","customSessionId":"SessionB"}`
		subscriber = `{"role":"SUBSCRIBER"}`
		rejected   = "401 log in first"
		forbidden  = "403 viewers can only join SessionA"
		otherRoom  = "/api/sessions/SessionB/connections"
	)
	type row struct{ name, login, method, path, want, wantBody string } // wantBody is what OpenVidu receives
	rows := []row{
		{method: "POST", path: testConnections, want: rejected},
		{login: "Bearer x", method: "POST", path: testConnections, want: rejected},
		{login: "Bearer x", method: "POST", path: testSessions, want: rejected},
		{login: "Bearer presenter", method: "POST", path: otherRoom, want: "200 " + testToken, wantBody: moderator},
		{login: "Bearer viewer", method: "POST", path: testSessions, want: "200 SessionA", wantBody: testSessionA},
		{login: "Bearer viewer", method: "POST", path: testConnections, want: "200 " + testToken, wantBody: subscriber},
		{login: "Bearer viewer", method: "POST", path: "/api/sessions/%53essionA/connections", want: "200 " + testToken,
			wantBody: subscriber},
		{login: "Bearer viewer", method: "POST", path: "/api/sessions/SessionA%2Fconnections",
			want: "404 404 page not found"},
	}
	for _, path := range []string{otherRoom, "/api/sessions/SessionA/connections/", "//api/sessions",
		"/api/sessions/SessionB%2F..%2FSessionA/connections", "/api/sessions/%2e%2e/SessionA/connections",
		"/api/sessions/SessionB/connections/api/sessions/SessionA/connections",
		"/api/sessions/SessionB%2FSessionA/connections"} {
		rows = append(rows, row{login: "Bearer viewer", method: "POST", path: path, want: forbidden})
	}
	for _, method := range []string{"GET", "PUT", "OPTIONS"} {
		rows = append(rows, row{login: "Bearer viewer", method: method, path: testConnections, want: forbidden})
	}
	for i := range rows {
		rows[i].name = cmp.Or(rows[i].login, "no login") + ": " + rows[i].method + " " + rows[i].path
	}
	_, example, _ := strings.Cut(testRead(t, "README.md"), "```go\n")
	example, _, _ = strings.Cut(example, "```")
	testContains(t, "the Go files", testRead(t, "handlers_test.go")+testRead(t, "handlers.go"),
		cmp.Or(example, "the README's example"))
	newAPI := func(ov *openVidu) http.Handler { return authorize(newAPI(ov)) }
	testRows(t, rows, func(t *testing.T, tt row) {
		s := startTestWith(t, newFake(fakeRecorded), newAPI, "CORS_ALLOWED_ORIGINS=https://a")
		status, text, _ := strings.Cut(tt.want, " ")
		code, _ := strconv.Atoi(status)
		header := []string{"Access-Control-Allow-Origin: https://a", "Content-Type: text/plain; charset=utf-8",
			"Vary: Origin", "X-Content-Type-Options: nosniff"}
		if code != 200 {
			text += "\n"
		}
		if code == 401 {
			header = append(header, "Www-Authenticate: Bearer")
		}
		request := testRequest(tt.method, tt.path, moderator, "Origin: https://a", "Authorization: "+tt.login)
		testEqual(t, "response", s.send(t, request), wantResponse(code, text, header...))
		_, body, _ := strings.Cut(s.openvidu.received(), "\n\n")
		testEqual(t, "properties that OpenVidu received", strings.TrimSuffix(body, "\n"), tt.wantBody)
		if code == 401 || code == 403 {
			testMatch(t, "log", s.log.lines(),
				regexp.MustCompile("^level=INFO .* status="+status+" duration=0s error=\""+
					strings.TrimSpace(text)+"\"\n$"))
		}
		preflight := testRequest("OPTIONS", tt.path, "", "Origin: https://a", "Access-Control-Request-Method: POST")
		testEqual(t, "status of a preflight, which has no login", s.send(t, preflight)[:3], "204")
	})

	testBubble(t, func(t *testing.T) {
		canceled := make(chan bool)
		s := startTestWith(t, newFake(func(w http.ResponseWriter, r *http.Request) {
			<-r.Context().Done()
			close(canceled)
		}), newAPI)
		c := s.dial(t)
		io.WriteString(c, testRequest("POST", testConnections, moderator, "Authorization: Bearer viewer"))
		synctest.Wait()
		start := time.Now()
		c.Close()
		<-canceled
		testEqual(t, "time until the request of a viewer who disconnects is canceled", time.Since(start), 0)
	})
}

// testFiles creates the given files, each of which contains its name, in a new directory, and returns its path.
func testFiles(t *testing.T, names ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range names {
		file := filepath.Join(dir, filepath.FromSlash(name))
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o700), os.WriteFile(file, []byte(name), 0o600),
			os.Chtimes(file, testModified, testModified)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

var testModified = time.Date(2026, 1, 2, 3, 4, 5, 1000, time.UTC) // the time of the files

// wantFile returns the whole response that contains a file of testFiles, or the given part of it.
func wantFile(status int, part, name string, header ...string) string {
	return wantResponse(status, part, append(header, "Accept-Ranges: bytes", "Access-Control-Allow-Origin: *",
		"Cache-Control: no-cache", "Content-Type: "+mime.TypeByExtension(path.Ext(name)), fmt.Sprintf(`Etag: "%x-%x"`,
			testModified.UnixNano(), len(name)), "Last-Modified: Fri, 02 Jan 2026 03:04:05 GMT")...)
}

// With STATIC_DIR, the frontend's files are served at /, and everything under /api/ is still the API's.
func TestFiles(t *testing.T) {
	dir := testFiles(t, "index.html", "app.js", "a b/index.html", "docs/index.html", "docs/deep/index.html",
		"list/a.html", "api/index.html", "vendors~main~12345678.js", "a..b.html")
	moved := func(location string) string {
		return wantResponse(301, `<a href="`+location+"\">Moved Permanently</a>.\n\n", "Access-Control-Allow-Origin: *",
			"Cache-Control: no-cache", "Content-Type: text/html; charset=utf-8", "Location: "+location)
	}
	unchanged := wantResponse(304, "", "Access-Control-Allow-Origin: *", "Cache-Control: no-cache",
		fmt.Sprintf(`Etag: "%x-a"`, testModified.UnixNano()))
	type row struct{ name, header, want string } // name is the request
	testRows(t, []row{
		{name: "GET /", want: wantFile(200, "index.html", "index.html")},
		{name: "GET /?a=b", want: wantFile(200, "index.html", "index.html")},
		{name: "GET /index.html", want: wantFile(200, "index.html", "index.html")},
		{name: "GET /app.js", want: wantFile(200, "app.js", "app.js")},
		{name: "GET /vendors~main~12345678.js", want: wantFile(200, "vendors~main~12345678.js",
			"vendors~main~12345678.js")},
		{name: "GET /a..b.html", want: wantFile(200, "a..b.html", "a..b.html")},
		{name: "GET /docs/", want: wantFile(200, "docs/index.html", "docs/index.html")},
		{name: "GET /docs?a=b", want: moved("/docs/?a=b")},
		{name: "GET /docs/deep", want: moved("/docs/deep/")},
		{name: "GET /a%20b", want: moved("/a%20b/")},
		{name: "GET /list", want: moved("/list/")},
		{name: "HEAD /docs/", want: wantFile(200, "", "docs/index.html", "Content-Length: 15")},
		{name: "GET /docs/ in part", header: "Range: bytes=5-9",
			want: wantFile(206, "index", "docs/index.html", "Content-Range: bytes 5-9/15")},
		{name: "GET / that hasn't changed", header: fmt.Sprintf(`If-None-Match: "%x-a"`, testModified.UnixNano()),
			want: unchanged},
		{name: "GET / not modified since", header: "If-Modified-Since: Fri, 02 Jan 2026 03:04:05 GMT", want: unchanged},
		{name: "GET / that has changed", header: `If-None-Match: "older"`,
			want: wantFile(200, "index.html", "index.html")},
		{name: "POST /", want: wantText("405 Method Not Allowed", "Allow: GET, HEAD")},
		{name: "DELETE /docs/index.html", want: wantText("405 Method Not Allowed", "Allow: GET, HEAD")},
		{name: "POST /api/sessions", want: wantText("200 SessionA")},
		{name: "GET /api/sessions", want: wantText("405 Method Not Allowed", "Allow: POST")},
		{name: "GET /api/", want: wantText("404 404 page not found")},
		{name: "GET /api/index.html", want: wantText("404 404 page not found")},
	}, func(t *testing.T, tt row) {
		s := startTest(t, fakeRecorded, "STATIC_DIR="+dir)
		request := strings.Fields(tt.name)
		var header []string
		if tt.header != "" {
			header = []string{tt.header}
		}
		testEqual(t, "response", s.send(t, testRequest(request[0], request[1], "", header...)), tt.want)
		testMatch(t, "log", s.log.lines(),
			regexp.MustCompile("^level=INFO msg=request method="+request[0]+" path=.+ status="+tt.want[:3]+
				" duration=0s\n$"))
	})
}

// Names that start with a dot and links that lead outside are never served, and directories are never listed. The log
// says why, unless the name is hidden.
func TestHiddenFiles(t *testing.T) {
	parent := testFiles(t, "public/index.html", "public/docs/.private/a.html", "public/docs/.htaccess",
		"public/list/a.html", "public/.env", "public/.well-known/a.html", `public/list\.b.html`, "secret.html",
		"secret/index.html", "public-sibling/index.html")
	dir := filepath.Join(parent, "public")
	links := map[string]string{"inside.html": "index.html", "outside.html": "../secret.html", "outside": "../secret",
		"sibling": "../public-sibling", "absolute.html": filepath.Join(dir, "index.html")}
	for link, target := range links {
		if err := os.Symlink(filepath.FromSlash(target), filepath.Join(dir, link)); err != nil &&
			runtime.GOOS != "windows" {
			t.Fatal(err) // Windows needs a privilege for links
		}
	}
	type row struct{ name, opened string } // the path that is requested, and the name in dir that is opened
	testRows(t, []row{
		{name: "/nothing.html", opened: "nothing.html"},
		{name: "/index.html/", opened: "index.html/index.html"},
		{name: "/list/", opened: "list/index.html"},
		{name: "/outside.html", opened: "outside.html"},
		{name: "/outside/", opened: "outside/index.html"},
		{name: "/outside", opened: "outside"},
		{name: "/sibling/", opened: "sibling/index.html"},
		{name: "/absolute.html", opened: "absolute.html"},
		{name: "/%00", opened: "\x00"},
		{name: "/%2Fsecret.html", opened: "/secret.html"},
		{name: "/.env"},
		{name: "/%2eenv"},
		{name: "/.well-known/a.html"},
		{name: "/docs/.private/a.html"},
		{name: "/docs%2F.htaccess"},
		{name: "/list%5C.b.html"},
		{name: "/%2e%2e/secret.html"},
		{name: "/..%2Fsecret.html"},
		{name: "/..%5Csecret.html"},
		{name: "/docs/%2e%2e/%2e%2e/secret.html"},
	}, func(t *testing.T, tt row) {
		s := startTest(t, nil, "STATIC_DIR="+dir)
		testEqual(t, "response", s.send(t, testRequest("GET", tt.name, "")),
			wantText("404 404 page not found", "Cache-Control: no-cache"))
		cause := ""
		if tt.opened != "" {
			_, err := os.OpenInRoot(dir, tt.opened)
			cause = " error=" + regexp.QuoteMeta(fmt.Sprintf("%q", fmt.Sprint(err)))
		}
		testMatch(t, "log", s.log.lines(),
			regexp.MustCompile("^level=INFO msg=request method=GET path=.+ status=404 duration=0s"+cause+"\n$"))
	})
	testBubble(t, func(t *testing.T) {
		if runtime.GOOS != "windows" {
			s := startTest(t, nil, "STATIC_DIR="+dir)
			testMatch(t, "a link within the directory", s.send(t, testRequest("GET", "/inside.html", "")),
				regexp.MustCompile("(?s)^200\n.*\n\npublic/index.html$"))
		}
	})
}

// A build may replace files, and the whole directory, while this server runs.
func TestReplacedFiles(t *testing.T) {
	dir := testFiles(t, "index.html")
	testBubble(t, func(t *testing.T) {
		s := startTest(t, nil, "STATIC_DIR="+dir)
		check := func(name, path, want string) {
			t.Helper()
			testMatch(t, name, s.send(t, testRequest("GET", path, "")), regexp.MustCompile("(?s)^"+want+"$"))
		}
		write := func(name, text string) {
			t.Helper()
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		check("file", "/", "200\n.*\n\nindex.html")
		write("index.html", "edited")
		check("edited file", "/", "200\n.*\n\nedited")
		write("new.html", "new")
		check("new file", "/new.html", "200\n.*\n\nnew")
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
		check("removed directory", "/", "404\n.*")
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		write("index.html", "recreated")
		check("recreated directory", "/", "200\n.*\n\nrecreated")

		descriptors, _ := os.ReadDir("/proc/self/fd") // only Linux has it
		for _, d := range descriptors {
			if file, _ := os.Readlink("/proc/self/fd/" + d.Name()); strings.HasPrefix(file, dir) {
				t.Errorf("%s is still open", file)
			}
		}
	})
}

// A download has 10 min to reach a slow client.
func TestSlowDownload(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "bundle.js"), make([]byte, 3_000_000), 0o600); err != nil {
		t.Fatal(err)
	}
	type row struct {
		name  string
		takes time.Duration
		want  bool // the whole file arrives
	}
	testRows(t, []row{
		{name: "9 min 50 s", takes: 590 * time.Second, want: true},
		{name: "10 min 10 s", takes: 610 * time.Second, want: false},
	}, func(t *testing.T, tt row) {
		s := startTest(t, nil, "STATIC_DIR="+dir)
		c := s.dial(t)
		c.SetDeadline(time.Time{})
		io.WriteString(c, testRequest("GET", "/bundle.js", ""))
		reader := bufio.NewReader(c)
		resp, err := http.ReadResponse(reader, nil)
		if err != nil {
			t.Fatal(err)
		}
		var read int64
		for range 100 {
			time.Sleep(tt.takes / 100)
			n, _ := io.CopyN(io.Discard, resp.Body, 30_000)
			read += n
		}
		testEqual(t, "the whole file arrives", read == 3_000_000, tt.want)
	})
}

// A client that sends an unusual, invalid or oversized request gets a response.
func TestClientFaults(t *testing.T) {
	const (
		chunked  = "Transfer-Encoding: chunked"
		tooLarge = "413 request body exceeds 100 KiB"
	)
	large := strings.Repeat(" ", 1_000_000)
	header := func(size int) string {
		return testRequest("POST", testConnections, "", "A: "+strings.Repeat("a", size))
	}
	type row struct{ name, request, want, wantCause string }
	testRows(t, []row{
		{name: "HTTP/1.0, as from nginx", request: strings.Replace(testRequest("POST", testConnections, "{}"), "/1.1",
			"/1.0", 1), want: wantText("200 "+testToken, "Connection: close")},
		{name: "chunked body", request: testRequest("POST", testConnections, "2\r\n{}\r\n0\r\n\r\n", chunked),
			want: wantText("200 " + testToken)},
		{name: "invalid chunk", request: testRequest("POST", testConnections, "x\r\n", chunked),
			want:      wantText("400 cannot read request body", "Connection: close"),
			wantCause: ": invalid byte in chunk length"},
		{name: "header of 19 KiB", request: header(19 << 10), want: wantText("200 " + testToken)},
		{name: "header of 21 KiB", request: header(21 << 10),
			want: "431\nConnection: close\nContent-Type: text/plain; " +
				"charset=utf-8\n\n431 Request Header Fields Too Large"},
		{name: "body of 100 KiB and a byte", request: testRequest("POST", testConnections, "{}"+large[:100*1024-1]),
			want: wantText(tooLarge, "Connection: close")},
		{name: "chunked body of 100 KiB and a byte",
			request: testRequest("POST", testConnections, "19001\r\n"+large[:100*1024+1]+"\r\n0\r\n\r\n", chunked),
			want:    wantText(tooLarge, "Connection: close")},
		{name: "body of 1 MB", request: testRequest("POST", testSessions, large),
			want: wantText(tooLarge, "Connection: close")},
	}, func(t *testing.T, tt row) {
		s := startTest(t, fakeRecorded)
		testEqual(t, "response", s.send(t, tt.request), tt.want)
		if status, body, _ := strings.Cut(tt.want, "\n"); status != "431" {
			_, body, _ = strings.Cut(body, "\n\n")
			path := strings.Fields(tt.request)[1]
			testEqual(t, "log", s.log.lines(), wantLogLine(path, status+" "+strings.TrimSuffix(body, "\n"),
				tt.wantCause))
		}
	})
}

// A body that isn't needed is read before the connection closes, which nginx requests by default: otherwise TCP would
// reset the connection, and the response could be lost. A client that waits for 100 Continue doesn't send its body.
func TestUnreadBodies(t *testing.T) {
	body := strings.Repeat(" ", 100_000)
	waiting := strings.TrimSuffix(testRequest("POST", "/nowhere", body, "Expect: 100-continue"), body)
	type row struct{ name, request, want string }
	testRows(t, []row{
		{name: "unknown path", request: testRequest("POST", "/nowhere", body, "Connection: close"), want: "404"},
		{name: "wrong method", request: testRequest("PUT", testSessions, body, "Connection: close"), want: "405"},
		{name: "preflight", want: "204",
			request: testRequest("OPTIONS", testSessions, body, "Connection: close",
				"Access-Control-Request-Method: POST")},
		{name: "client that waits for 100 Continue", request: waiting, want: "404"},
	}, func(t *testing.T, tt row) {
		s := startTest(t, nil)
		start := time.Now()
		c := s.dial(t)
		written := make(chan error, 1)
		go func() {
			_, err := io.WriteString(c, tt.request)
			written <- err
		}()
		testEqual(t, "status", testReadResponse(c, "POST")[:3], tt.want)
		testEqual(t, "error of the client that writes", <-written, nil)
		testEqual(t, "time", time.Since(start), 0)
	})
}

// When the client disconnects, the request to OpenVidu is canceled immediately, and the log shows 499 at level INFO.
func TestClientDisconnects(t *testing.T) {
	type row struct{ name, path, body string }
	testRows(t, []row{
		{name: "session", path: testSessions},
		{name: "session that others can share", path: testSessions, body: testSessionA},
		{name: "connection", path: testConnections},
	}, func(t *testing.T, tt row) {
		canceled := make(chan bool)
		s := startTest(t, func(w http.ResponseWriter, r *http.Request) {
			<-r.Context().Done()
			close(canceled)
		})
		c := s.dial(t)
		io.WriteString(c, testRequest("POST", tt.path, tt.body))
		synctest.Wait()
		start := time.Now()
		c.Close()
		<-canceled
		testEqual(t, "time until the request to OpenVidu is canceled", time.Since(start), 0)
		synctest.Wait()
		testEqual(t, "log", s.log.lines(), wantLogLine(tt.path, "499 client disconnected", ""))
	})
}
