"""Manifests written by hand, as another packager might: what players read must not depend on what we write."""

from __future__ import annotations

MASTER = """#EXTM3U
#EXT-X-CONTENT-STEERING:SERVER-URI="/steer?s=1",PATHWAY-ID="b"
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="au-a",NAME="en",LANGUAGE="en",STABLE-RENDITION-ID="en",URI="http://a/p/en.m3u8"
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="au-b",NAME="en",LANGUAGE="en",STABLE-RENDITION-ID="en",URI="http://b/p/en.m3u8"
#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID="s-a",NAME="de",LANGUAGE="de",STABLE-RENDITION-ID="de",URI="http://a/p/de.m3u8"
#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID="s-b",NAME="de",LANGUAGE="de",STABLE-RENDITION-ID="de",URI="http://b/p/de.m3u8"
#EXT-X-STREAM-INF:BANDWIDTH=3000000,AUDIO="au-a",SUBTITLES="s-a",STABLE-VARIANT-ID="hi",PATHWAY-ID="a"
http://a/p/hi.m3u8
#EXT-X-STREAM-INF:BANDWIDTH=900000,AUDIO="au-a",SUBTITLES="s-a",STABLE-VARIANT-ID="lo",PATHWAY-ID="a"
http://a/p/lo.m3u8
#EXT-X-STREAM-INF:BANDWIDTH=3000000,AUDIO="au-b",SUBTITLES="s-b",STABLE-VARIANT-ID="hi",PATHWAY-ID="b"
http://b/p/hi.m3u8
#EXT-X-STREAM-INF:BANDWIDTH=900000,AUDIO="au-b",SUBTITLES="s-b",STABLE-VARIANT-ID="lo",PATHWAY-ID="b"
http://b/p/lo.m3u8
#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=90000,URI="http://a/p/hi-i.m3u8",PATHWAY-ID="a"
"""

PLAYLIST = """#EXTM3U
#EXT-X-VERSION:7
#EXT-X-TARGETDURATION:4
#EXT-X-PLAYLIST-TYPE:VOD
#EXT-X-MAP:URI="hi/init.mp4"
#EXTINF:4.000000,
hi/1.m4s
#EXTINF:2.500000,
hi/2.m4s
#EXT-X-ENDLIST
"""

MPD = """<?xml version="1.0"?>
<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" mediaPresentationDuration="PT1M6.5S" minBufferTime="PT4S"
 profiles="urn:mpeg:dash:profile:isoff-live:2011">
<BaseURL serviceLocation="a">http://a/p/</BaseURL>
<BaseURL serviceLocation="b">http://b/p/</BaseURL>
<ContentSteering defaultServiceLocation="b">/steer/dash?s=1</ContentSteering>
<Period>
<AdaptationSet contentType="video" mimeType="video/mp4">
<SegmentTemplate timescale="1000" initialization="$RepresentationID$/init.mp4" media="$RepresentationID$/$Number$.m4s"
 startNumber="1"><SegmentTimeline><S t="0" d="4000" r="1"/><S d="2500"/></SegmentTimeline></SegmentTemplate>
<Representation id="hi" bandwidth="3000000"/>
<Representation id="lo" bandwidth="900000"/>
</AdaptationSet>
<AdaptationSet contentType="text" mimeType="text/vtt" lang="de">
<Representation id="de" bandwidth="100"><BaseURL>de.vtt</BaseURL></Representation>
</AdaptationSet>
</Period>
</MPD>
"""
