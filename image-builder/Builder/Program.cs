Console.Error.WriteLine("image-builder: no command yet");
return 2;
