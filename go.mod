module openvidu-basic-go

go 1.26.0
