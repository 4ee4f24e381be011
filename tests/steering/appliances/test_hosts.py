from __future__ import annotations

from steering.appliances.hosts import Hosts


def test_an_appliance_is_found_by_its_host_with_and_without_the_port() -> None:
    hosts = Hosts()
    hosts.put("oca-1", "http://OCA-1.example:8080")
    assert hosts.find("oca-1.example:8080") == hosts.find("oca-1.example") == "oca-1"
    assert hosts.find("oca-1.example:81") == hosts.find("") == ""
    assert "oca-1" in hosts and "oca-2" not in hosts


def test_a_host_of_two_appliances_is_nobody_s_but_with_the_port_it_is() -> None:
    hosts = Hosts()
    hosts.put("oca-1", "http://127.0.0.1:8081")
    hosts.put("oca-2", "http://127.0.0.1:8082")
    assert hosts.find("127.0.0.1") == ""
    assert hosts.find("127.0.0.1:8082") == "oca-2"
    hosts.put("oca-1", "https://[2001:db8::1]")
    assert (hosts.find("127.0.0.1"), hosts.find("[2001:db8::1]")) == ("oca-2", "oca-1")
    assert hosts.find("127.0.0.1:8081") == ""
