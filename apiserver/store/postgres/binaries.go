package postgres

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// findBinaries is the folder that holds both initdb and postgres. Debian keeps them out of PATH, so
// pg_config is asked first, then Debian's own places are looked through, newest version first, and PATH
// comes last.
func findBinaries() (string, error) {
	var dirs []string
	if out, err := exec.Command("pg_config", "--bindir").Output(); err == nil {
		dirs = append(dirs, strings.TrimSpace(string(out)))
	}
	versions, _ := filepath.Glob("/usr/lib/postgresql/*/bin") // fails on a bad pattern only
	slices.SortFunc(versions, func(a, b string) int { return debianVersion(b) - debianVersion(a) })
	dirs = append(dirs, versions...)
	dirs = append(dirs, filepath.SplitList(os.Getenv("PATH"))...)
	for _, dir := range dirs {
		if executable(filepath.Join(dir, "initdb")) && executable(filepath.Join(dir, "postgres")) {
			return dir, nil
		}
	}
	return "", errors.New("PostgreSQL's initdb and postgres were found neither by pg_config, nor in /usr/lib/postgresql/*/bin, nor in PATH: " +
		"install them (Debian and Ubuntu: apt-get install postgresql), or give the URL of a running database")
}

func debianVersion(bin string) int {
	n, _ := strconv.Atoi(filepath.Base(filepath.Dir(bin))) // a name that is no number sorts last
	return n
}

func executable(path string) bool {
	fi, err := os.Stat(path)
	return err == nil && fi.Mode().IsRegular() && fi.Mode()&0o111 != 0
}
