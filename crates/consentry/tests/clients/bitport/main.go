// A client of Bitport with the habits of the public one in Go: typed answers, a 32-bit expires_in,
// `data` as a list, the Location of a download read without following it. See README.md above it.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
)

type config struct {
	Base         string `json:"base"`
	ClientID     string `json:"client_id"`
	ClientSecret string `json:"client_secret"`
}

type token struct {
	AccessToken      string `json:"access_token"`
	ExpiresIn        int32  `json:"expires_in"`
	RefreshToken     string `json:"refresh_token"`
	TokenType        string `json:"token_type"`
	Error            string `json:"error"`
	ErrorDescription string `json:"error_description"`
}

type envelope struct {
	Status string `json:"status"`
	Data   []struct {
		Email string `json:"email"`
		Files []struct {
			Code string `json:"code"`
			Size int64  `json:"size"`
		} `json:"files"`
	} `json:"data"`
	Errors []struct {
		Message string `json:"message"`
		Code    int    `json:"code"`
	} `json:"errors"`
}

var client = &http.Client{
	Timeout: 20 * time.Second,
	CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse
	},
}

func show(value any) {
	line, err := json.Marshal(value)
	if err != nil {
		panic(err)
	}
	fmt.Println(string(line))
}

func (c config) token(code, secret string) (token, error) {
	form := url.Values{
		"client_id":     {c.ClientID},
		"client_secret": {secret},
		"grant_type":    {"authorization_code"},
		"code":          {code},
	}
	var answer token
	response, err := client.PostForm(c.Base+"/v2/oauth2/access-token", form)
	if err != nil {
		return answer, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return answer, fmt.Errorf("token: %s", response.Status)
	}
	return answer, json.NewDecoder(response.Body).Decode(&answer)
}

func (c config) get(path string, t token) (*http.Response, error) {
	request, err := http.NewRequest(http.MethodGet, c.Base+path, nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Authorization", "Bearer "+t.AccessToken)
	return client.Do(request)
}

func (c config) read(path string, t token) (envelope, error) {
	var answer envelope
	response, err := c.get(path, t)
	if err != nil {
		return answer, err
	}
	defer response.Body.Close()
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return answer, fmt.Errorf("%s: %w", path, err)
	}
	if answer.Status != "success" || len(answer.Data) == 0 {
		return answer, fmt.Errorf("%s: %v", path, answer.Errors)
	}
	return answer, nil
}

func (c config) firstBytes(code string, t token) (int, error) {
	link, err := c.get("/v2/files/"+code+"/download", t)
	if err != nil {
		return 0, err
	}
	link.Body.Close()
	// Relative to the request.
	address, err := link.Location()
	if err != nil {
		return 0, fmt.Errorf("download: %s: %w", link.Status, err)
	}
	request, err := http.NewRequest(http.MethodGet, address.String(), nil)
	if err != nil {
		return 0, err
	}
	request.Header.Set("Range", "bytes=0-15")
	part, err := client.Do(request)
	if err != nil {
		return 0, err
	}
	defer part.Body.Close()
	if part.StatusCode != http.StatusPartialContent {
		return 0, fmt.Errorf("link: %s", part.Status)
	}
	bytes, err := io.ReadAll(part.Body)
	return len(bytes), err
}

func run() error {
	var c config
	if err := json.Unmarshal([]byte(os.Args[1]), &c); err != nil {
		return err
	}
	query := url.Values{"response_type": {"code"}, "client_id": {c.ClientID}}
	show(map[string]string{"authorize_url": c.Base + "/v2/oauth2/authorize?" + query.Encode()})
	line, err := bufio.NewReader(os.Stdin).ReadString('\n')
	if err != nil {
		return err
	}
	callback, err := url.Parse(strings.TrimSpace(line))
	if err != nil {
		return err
	}
	code := callback.Query().Get("code")
	wrong, err := c.token(code, "wrong")
	if err != nil {
		return err
	}
	if wrong.AccessToken != "" {
		return fmt.Errorf("a wrong secret got a token")
	}
	t, err := c.token(code, c.ClientSecret)
	if err != nil {
		return err
	}
	me, err := c.read("/v2/me", t)
	if err != nil {
		return err
	}
	cloud, err := c.read("/v2/cloud", t)
	if err != nil {
		return err
	}
	bytes, err := c.firstBytes(cloud.Data[0].Files[0].Code, t)
	if err != nil {
		return err
	}
	show(map[string]any{
		"ok":           true,
		"email":        me.Data[0].Email,
		"expires_in":   t.ExpiresIn,
		"first_bytes":  bytes,
		"wrong_secret": wrong.ErrorDescription,
	})
	return nil
}

func main() {
	if err := run(); err != nil {
		show(map[string]any{"ok": false, "error": err.Error()})
		os.Exit(1)
	}
}
