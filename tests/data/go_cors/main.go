// Prints what rs/cors and jub0bs/cors answer to the requests that stdin lists, as JSON.
package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"reflect"
	"runtime"
	"runtime/debug"
	"sort"
	"strings"

	jub0bs "github.com/jub0bs/cors"
	rs "github.com/rs/cors"
)

type settings struct {
	RS     rs.Options
	Jub0bs jub0bs.Config
	Debug  bool
}

type request struct {
	Settings, Method, Path string
	Fields                 [][2]string
}

type answer struct {
	Status int         `json:"status"`
	Fields [][2]string `json:"fields"`
}

func app(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/gone":
		http.NotFound(w, r)
	case "/boom":
		http.Error(w, "boom", http.StatusInternalServerError)
	case "/own":
		w.Header().Set("Access-Control-Allow-Origin", "https://own.example")
	default:
		fmt.Fprint(w, "hello")
	}
}

// ask returns the status, and the fields that CORS is about.
func ask(handler http.Handler, asked request) *answer {
	if handler == nil {
		return nil
	}
	r := httptest.NewRequest(asked.Method, "http://api.example"+asked.Path, nil)
	for _, field := range asked.Fields {
		r.Header.Add(field[0], field[1])
	}
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	said := answer{Status: w.Code, Fields: [][2]string{}}
	for name, values := range w.Result().Header {
		name = strings.ToLower(name)
		if name != "vary" && !strings.HasPrefix(name, "access-control-") {
			continue
		}
		for _, value := range values {
			said.Fields = append(said.Fields, [2]string{name, value})
		}
	}
	sort.Slice(said.Fields, func(i, j int) bool { return said.Fields[i][0] < said.Fields[j][0] })
	return &said
}

func versions() map[string]string {
	found := map[string]string{"Go": strings.TrimPrefix(runtime.Version(), "go")}
	info, _ := debug.ReadBuildInfo()
	for _, module := range info.Deps {
		if strings.HasSuffix(module.Path, "/cors") {
			found[strings.TrimPrefix(module.Path, "github.com/")] = module.Version
		}
	}
	return found
}

// names lists the public fields of a struct of options.
func names(options any) []string {
	found := []string{}
	for _, field := range reflect.VisibleFields(reflect.TypeOf(options)) {
		if field.IsExported() {
			found = append(found, field.Name)
		}
	}
	return found
}

func main() {
	var input struct {
		Settings map[string]settings
		Requests []request
	}
	if err := json.NewDecoder(os.Stdin).Decode(&input); err != nil {
		panic(err)
	}
	theirs := map[string]map[string]http.Handler{"rs/cors": {}, "jub0bs/cors": {}}
	for name, each := range input.Settings {
		theirs["rs/cors"][name] = rs.New(each.RS).Handler(http.HandlerFunc(app))
		made, err := jub0bs.NewMiddleware(each.Jub0bs)
		if err != nil {
			continue // it is refused: no answer is recorded
		}
		made.SetDebug(each.Debug)
		theirs["jub0bs/cors"][name] = made.Wrap(http.HandlerFunc(app))
	}
	answers := map[string][]*answer{}
	for library, handlers := range theirs {
		for _, asked := range input.Requests {
			answers[library] = append(answers[library], ask(handlers[asked.Settings], asked))
		}
	}
	options := map[string][]string{
		"rs/cors":     names(rs.Options{}),
		"jub0bs/cors": names(jub0bs.Config{}),
	}
	output := map[string]any{"versions": versions(), "options": options, "answers": answers}
	if err := json.NewEncoder(os.Stdout).Encode(output); err != nil {
		panic(err)
	}
}
