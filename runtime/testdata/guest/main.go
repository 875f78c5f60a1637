// Guest is the program of the containers that this package's tests run.
package main

import (
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"
)

func main() {
	fmt.Println("guest begins")
	for i := 1; i < len(os.Args); i++ {
		switch os.Args[i] {
		case "exit":
			i++
			code, _ := strconv.Atoi(os.Args[i])
			fmt.Println("guest ends")
			os.Exit(code)
		case "message":
			i++
			if err := os.WriteFile("/dev/termination-log", []byte(os.Args[i]), 0); err != nil {
				fmt.Println(err)
			}
		case "wait":
			for {
				time.Sleep(time.Hour)
			}
		case "usr1":
			c := make(chan os.Signal, 1)
			signal.Notify(c, syscall.SIGUSR1)
			fmt.Println("ready")
			<-c
			os.Exit(42)
		case "until":
			i++
			for {
				if _, err := os.Stat(os.Args[i]); err == nil {
					break
				}
				time.Sleep(10 * time.Millisecond)
			}
		case "oom":
			for hog := [][]byte{}; ; {
				b := make([]byte, 1<<20)
				for j := range b {
					b[j] = 1
				}
				hog = append(hog, b)
			}
		case "cat":
			n, err := io.Copy(os.Stdout, os.Stdin)
			fmt.Println("copied", n, err)
		case "env":
			i++
			fmt.Println(os.Getenv(os.Args[i]))
		case "id":
			fmt.Println(os.Getuid(), os.Getgid())
		}
	}
}
