package main

import (
	"bufio"
	"fmt"
	"net"
)

// answer answers each line, and each datagram, with a name and the address
// that it came from. After the last line of a connection it says "bye".
func answer(name, address string) error {
	tcp, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	udp, err := net.ListenPacket("udp", address)
	if err != nil {
		return err
	}
	go func() {
		for {
			c, err := tcp.Accept()
			if err != nil {
				return
			}
			go answerLines(c, name)
		}
	}()
	go func() {
		buf := make([]byte, 1500)
		for {
			_, from, err := udp.ReadFrom(buf)
			if err != nil {
				return
			}
			_, _ = udp.WriteTo([]byte(name+" "+plain(from.(*net.UDPAddr).IP)+"\n"), from)
		}
	}()
	return nil
}

func answerLines(c net.Conn, name string) {
	defer c.Close()
	from := plain(c.RemoteAddr().(*net.TCPAddr).IP)
	for in := bufio.NewScanner(c); in.Scan(); {
		if _, err := fmt.Fprintf(c, "%s %s\n", name, from); err != nil {
			return
		}
	}
	fmt.Fprintln(c, "bye")
}

// plain writes an IPv4 address as one even if it came on a socket of IPv6.
func plain(ip net.IP) string {
	if v4 := ip.To4(); v4 != nil {
		return v4.String()
	}
	return ip.String()
}
